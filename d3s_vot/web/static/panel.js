// The words beside the picture: status, targets, downloads.

import { $, colourOf, element, newNumber, page, span } from "./page.js";

const MOMENTS = 6; // losses of a target that are listed
const DOWNLOADS = {
  "overlay.mp4": "Overlay video",
  "masks.zip": "Masks, PNG in a zip",
  "boxes.csv": "Boxes, CSV",
};

export function renderFacts() {
  const { name, size, count, fps } = page.video;
  const rate = fps ? `, ${+fps.toFixed(2)} frames/s` : "";
  $("name").textContent = name;
  $("facts").textContent = `${size.join(" × ")} pixels, ${count} frames${rate}`;
}

export function renderStatus() {
  const { tracking, paused, tracked, wanted, rate, complete, frames, count, lost, targets } = page.video;
  let text = "Done. Look through it, and draw again where the mask is wrong.", share = null;
  if (tracking) {
    text = paused ? `Paused after ${tracked} of ${wanted} frames` : `Tracking: ${tracked} of ${wanted} frames`;
    if (rate && !paused) text += ` · ${rate.toFixed(1)} frames/s · ${left((wanted - tracked) / rate)} left`;
    share = tracked / Math.max(wanted, 1);
  } else if (!complete) {
    text = `Reading the video: ${frames} of ${count} frames`;
    share = frames / Math.max(count, 1);
  } else if (!targets.length) {
    text = "Draw a box round the target, on any frame.";
    if (lost) text += ` (${lost} damaged frame${lost > 1 ? "s" : ""}: the picture before is shown.)`;
  }
  $("status").textContent = text;
  $("progress").hidden = share === null;
  $("progress").value = share ?? 0;
  $("pause").hidden = !tracking;
  $("pause").textContent = paused ? "Go on" : "Pause";
}

function left(seconds) {
  if (seconds < 90) return `${Math.max(Math.round(seconds), 1)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export function renderHint(tool) {
  for (const name of ["box", "polygon"]) $(`tool-${name}`).setAttribute("aria-checked", String(tool === name));
  const how = tool === "box" ? "Drag a box round" : "Click the corners of an outline of";
  const what = page.chosen !== null
    ? `target ${page.chosen} where it went wrong; tracking goes on from there.`
    : page.video.targets.length ? "the new target, on any frame." : "the target, on any frame.";
  const end = tool === "box" ? "" : " The first corner, clicked again, closes it.";
  $("hint").textContent = `${how} ${what}${end}`;
}

export function renderConfirm(drawing) {
  $("confirm").hidden = !drawing;
  if (!drawing) return;
  const from = page.shown === 0 ? "" : ` from frame ${page.shown}`;
  const by = isSideBySide() ? ` with ${page.trackers.length} trackers` : "";
  $("accept").textContent = page.chosen === null
    ? `Track target ${newNumber()}${by}${from}`
    : `Correct target ${page.chosen}${from}`;
}

const ALL = ""; // the choice of all trackers, one target each
export const isSideBySide = () => page.chosen === null && page.trackers.length > 1 && $("tracker").value === ALL;
export const chosenTrackers = () => (isSideBySide() ? page.trackers : [$("tracker").value]);

// The choice for a new target, where there is one.
export function renderTrackers() {
  const options = [...page.trackers];
  if (options.length > 1) options.push(ALL);
  if (options.join("\n") !== [...$("tracker").options].map((option) => option.value).join("\n")) {
    $("tracker").replaceChildren(...options.map((value) =>
      element("option", { value, textContent: value === ALL ? "all, side by side" : value })));
  }
  $("by").hidden = page.trackers.length < 2 || page.chosen !== null;
}

let seen = "";

// Made anew only when something changed: a button must not vanish under the pointer.
export function renderTargets(actions) {
  const { video, results, chosen } = page;
  const rows = video.targets.map((target) => ({ ...target, losses: results.losses(target.number) }));
  if (chosen === null) rows.push({ number: newNumber(), isNew: true, losses: [] });
  const now = JSON.stringify([video.id, rows, chosen, video.complete, video.count]);
  if (now === seen) return;
  seen = now;
  $("targets").replaceChildren(...rows.map((row) => targetRow(row, actions)));
  $("add").disabled = chosen === null;
}

function targetRow({ number, tracker, tracked, active, drawn, losses, isNew }, { choose, remove, go }) {
  const { video, chosen } = page;
  const dot = element("span", { className: "dot" });
  dot.style.background = colourOf(number);
  const isWhole = video.complete && drawn?.length && tracked === video.count - drawn[0];
  const note = isNew ? "not drawn yet" : active || !isWhole ? `${tracked} frames` : "done";
  const isChosen = isNew || number === chosen;
  const pick = element("button", { className: "pick" }, dot, 
    tracker && page.trackers.length > 1 ? `${number} ${tracker}` : `Target ${number}`);
  pick.append(element("span", { className: "soft" }, note));
  pick.setAttribute("aria-pressed", String(isChosen));
  pick.onclick = () => choose(isNew ? null : number);
  const head = element("div", { className: "head" }, pick);
  const item = element("li", { className: isChosen ? "chosen" : "" }, head);
  if (isNew) return item;
  const away = element("button", { className: "quiet remove", title: `Remove target ${number}`, textContent: "✕" });
  away.setAttribute("aria-label", `Remove target ${number}`);
  away.onclick = () => remove(number);
  head.append(away);
  if (losses.length) {
    const moments = element("div", { className: "moments" }, "Lost at");
    for (const loss of losses.slice(0, MOMENTS)) {
      const button = element("button", { textContent: span(loss), title: `Show frame ${loss[0]}` });
      button.onclick = () => go(loss[0]);
      moments.append(button);
    }
    if (losses.length > MOMENTS) moments.append(`and ${losses.length - MOMENTS} more`);
    item.append(moments);
  }
  return item;
}

export function makeDownloads(download) {
  for (const [name, label] of Object.entries(DOWNLOADS)) {
    const button = element("button", { id: `download-${name.split(".")[0]}`, onclick: () => download(name) });
    button.append(element("span", { className: "part" }), element("span", {}, label), element("span"));
    $("downloads").append(button);
  }
}

export function renderDownloads() {
  const { video } = page;
  Object.keys(DOWNLOADS).forEach((name, k) => {
    const button = $("downloads").children[k];
    const [part, , note] = button.children;
    const file = video.downloads[name];
    const isMaking = file && !file.ready && !file.error;
    const share = isMaking ? file.done / Math.max(video.count, 1) : 0;
    part.style.width = `${100 * share}%`;
    note.textContent = isMaking ? `${Math.floor(100 * share)} %` : "";
    button.disabled = !video.complete || !video.tracked || isMaking;
  });
  const soFar = video.tracking ? "Files hold what is tracked by now." : "";
  $("download-note").textContent = video.tracked ? soFar : "Once a target is tracked, its results can be saved.";
}
