// The page: what is shown follows from the server's state, which is asked for again and again.

import { ServerError, call, upload } from "./api.js";
import { bind } from "./controls.js";
import { Frames } from "./frames.js";
import { $, clock, colourOf, confirmed, firstTarget, hush, mebi, newNumber, page, tell } from "./page.js";
import {
  chosenTrackers, makeDownloads, renderConfirm, renderDownloads, renderFacts, renderHint, renderStatus, renderTargets,
  renderTrackers,
} from "./panel.js";
import { Results } from "./results.js";
import { Stage } from "./stage.js";
import { onScrub, placeCursor, renderCharts } from "./timeline.js";

const BUSY = 100, IDLE = 1500; // milliseconds between questions
const AHEAD = 6; // frames that are fetched before they are played

const stage = new Stage($("canvas"), onShape);
const asked = new Set(); // downloads
let frames = null;
let wanted = 0; // frame
let isLoading = false, isPlaying = false, isSending = false;
let problems = 0; // that the server told of
let isSilent = false; // the server did not answer
let timer = 0;
let asking = 0, answered = 0; // questions about the results, numbered: an answer may come after a newer one

// --- the server's state

// Run something the user asked for; what goes wrong is told.
async function attempt(action) {
  try {
    hush();
    await action();
  } catch (error) {
    tell(error);
    if (error instanceof ServerError && error.status === 409) await refresh();
  }
  await poll();
}

async function poll() {
  clearTimeout(timer);
  try {
    if (page.video) await update();
    else await refresh();
    if (isSilent) hush();
    isSilent = false;
  } catch (error) {
    if (error.status === 409) await refresh().catch(tell);
    else if (!isSilent) tell(error);
    isSilent = error.status === 0;
  }
  clearTimeout(timer);
  timer = setTimeout(poll, isBusy() ? BUSY : IDLE);
}

function isBusy() {
  const { video } = page;
  if (!video || isSilent) return false;
  const isMaking = Object.values(video.downloads).some((file) => !file.ready && !file.error);
  return !video.complete || (video.tracking && !video.paused) || isMaking;
}

// From the beginning: whatever video is open now.
async function refresh() {
  const state = await call("GET", "/api/video");
  page.limit = state.limit;
  page.colours = state.colours;
  page.trackers = state.trackers;
  if (state.video?.id !== page.video?.id || document.body.dataset.mode === "starting") open(state.video);
  page.video = state.video;
  render();
}

function open(state) {
  page.video = state;
  page.results = new Results();
  page.chosen = firstTarget();
  page.shown = -1;
  frames = state && new Frames(state.id);
  wanted = 0;
  isPlaying = false;
  problems = state?.problems ?? 0;
  asked.clear();
  $("follow").checked = true;
  $("charts").replaceChildren();
  document.body.dataset.mode = state ? "video" : "empty";
  document.title = state ? `${state.name} – D3S` : "D3S";
  $("slider").value = 0;
  if (!state) return;
  stage.load(state.size);
  show(0);
}

async function update() {
  const { id } = page.video;
  const turn = ++asking;
  const answer = await call("GET", `/api/results?video=${id}&since=${page.results.next}`);
  if (page.video?.id !== id || turn < answered) return;
  answered = turn;
  page.video = answer.video;
  const last = page.results.add(answer);
  if (page.chosen !== null && !page.video.targets.some(({ number }) => number === page.chosen)) {
    page.chosen = firstTarget();
  }
  if (page.video.problems > problems) tell(page.video.problem);
  problems = page.video.problems;
  const newest = last.get(page.chosen) ?? [...last.values()].pop();
  if (newest !== undefined && $("follow").checked && !isPlaying && !stage.isDrawing) show(newest);
  fetchDownloads();
  render(answer.changes.length > 0);
  if (answer.changes.length && answer.next < answer.version) await update();
}

// --- showing a frame

async function show(index) {
  wanted = Math.min(Math.max(index, 0), Math.max(page.video.frames - 1, 0));
  $("slider").value = wanted;
  if (isLoading) return;
  isLoading = true;
  try {
    while (page.video && page.shown !== wanted) {
      const source = frames, next = wanted;
      const { picture, time } = await source.get(next);
      if (source !== frames) continue;
      stage.drop(); // it was drawn on another frame
      stage.picture = picture;
      page.shown = next;
      page.time = time;
      renderFrame();
    }
  } catch (error) {
    if (error.status !== 409) tell(error); // another video; the next answer of the server tells
  } finally {
    isLoading = false;
  }
}

// By hand: no longer where the tracking is.
function go(index) {
  stop();
  $("follow").checked = false;
  show(index);
}

function stop() {
  isPlaying = false;
  renderPlay();
}

async function play() {
  if (isPlaying) return stop();
  $("follow").checked = false;
  isPlaying = true;
  renderPlay();
  const source = frames;
  try {
    let index = wanted < page.video.frames - 1 ? wanted : 0;
    await show(index);
    let began = performance.now() - 1000 * (await source.get(index)).time;
    while (isPlaying && source === frames && index < page.video.frames - 1) {
      index += 1;
      source.ahead(index, Math.min(AHEAD, page.video.frames - index));
      const { time } = await source.get(index);
      const early = began + 1000 * time - performance.now();
      if (early > 0) await new Promise((resume) => setTimeout(resume, early));
      else began -= early; // frames come too late: all are shown, more slowly
      if (isPlaying && source === frames) await show(index);
    }
  } catch (error) {
    tell(error);
  }
  if (source === frames) stop();
}

// --- drawing

function onShape(drawing) {
  if (isPlaying) stop();
  renderConfirm(drawing);
}

function accept() {
  const { drawing } = stage;
  if (!drawing) return;
  const body = { frame: page.shown, target: page.chosen, ...drawing };
  const ways = page.chosen === null ? chosenTrackers().map((tracker) => ({ ...body, tracker })) : [body];
  attempt(async () => {
    let first = null;
    for (const way of ways) {
      const { target } = await call("POST", `/api/target?video=${page.video.id}`, way);
      first ??= target;
    }
    page.chosen = first;
    stage.drop();
    $("follow").checked = true;
  });
}

function useTool(tool) {
  stage.tool = tool;
  stage.drop();
  render(false);
}

function choose(number) {
  page.chosen = number;
  stage.drop();
  render(false);
}

function remove(number) {
  attempt(() => call("DELETE", `/api/target/${number}?video=${page.video.id}`));
}

// --- opening and closing

async function send(file) {
  const { video, limit } = page;
  if (isSending) return tell("a video is just being sent; wait for it");
  if (file.size > limit) {
    return tell(`${file.name} is larger than ${mebi(limit)} MiB; start d3s-vot web with a --limit above`);
  }
  const question = `Open ${file.name} instead of ${video?.name}? The results so far are removed.`;
  if (video && !(await confirmed(question, "Open it"))) return;
  await attempt(async () => {
    if (page.video) await call("DELETE", `/api/video?video=${page.video.id}`);
    open(null);
    isSending = true;
    $("sending-text").textContent = `Sending ${file.name}`;
    $("sending-bar").value = 0;
    $("sending").hidden = false;
    try {
      open(await upload(file, showSending));
    } finally {
      isSending = false;
      $("sending").hidden = true;
    }
  });
}

function showSending(share) {
  $("sending-bar").value = share;
  if (share === 1) $("sending-text").textContent = "Opening the video";
}

async function close() {
  const question = `Close ${page.video.name}? Its results are removed; download first what you want to keep.`;
  if (!(await confirmed(question, "Close it"))) return;
  attempt(async () => {
    await call("DELETE", `/api/video?video=${page.video.id}`);
    open(null);
  });
}

// --- downloads

function download(name) {
  attempt(async () => {
    await call("POST", `/api/download/${name}?video=${page.video.id}`);
    asked.add(name);
  });
}

function fetchDownloads() {
  for (const name of [...asked]) {
    const file = page.video.downloads[name];
    if (!file || (!file.ready && !file.error)) continue;
    asked.delete(name);
    if (file.error) {
      tell(file.error);
      continue;
    }
    const link = document.createElement("a");
    link.href = `/api/download/${name}?video=${page.video.id}`;
    link.download = "";
    link.click();
  }
}

// --- what is seen

function render(isChanged = true) {
  $("limit").textContent = `MP4, MOV, MKV, AVI, WebM and others, up to ${mebi(page.limit)} MiB`;
  if (!page.video) {
    $("name").textContent = $("facts").textContent = "";
    return;
  }
  $("slider").max = Math.max(page.video.count - 1, 0);
  stage.colour = colourOf(page.chosen ?? newNumber());
  renderFacts();
  renderStatus();
  renderHint(stage.tool);
  renderTrackers();
  renderTargets({ choose, remove, go });
  renderDownloads();
  renderConfirm(stage.drawing);
  if (isChanged) renderCharts();
  if (page.shown >= 0) renderFrame();
}

function renderFrame() {
  const { video, results, shown, time } = page;
  stage.found = video.targets
    .map(({ number, tracker }) => ({
      colour: colourOf(number),
      label: page.trackers.length > 1 ? tracker : video.targets.length > 1 ? `${number}` : "",
      record: results.of(number)[shown],
    }))
    .filter((item) => item.record);
  stage.draw();
  $("where").textContent = `Frame ${shown} / ${video.count - 1} · ${clock(time)}`;
  $("slider").setAttribute("aria-valuetext", `frame ${shown}, ${clock(time)}`);
  placeCursor();
}

function renderPlay() {
  $("play").classList.toggle("playing", isPlaying);
  $("play").setAttribute("aria-label", isPlaying ? "Stop" : "Play");
}

// --- what the user does

makeDownloads(download);
onScrub(go);
$("tracker").addEventListener("change", () => renderConfirm(stage.drawing));
bind({
  accept, choose, close, go, play, send, useTool,
  cancel: () => stage.drop(),
  enter: () => (stage.drawing ? accept() : stage.finish()),
  step: (count) => go(wanted + count),
  stop: () => stop(),
  takeBack: () => stage.takeBack(),
  pause: () => attempt(() => call("POST", `/api/pause?video=${page.video.id}`, { paused: !page.video.paused })),
  resize: () => page.video && renderCharts(),
});

refresh().catch((error) => {
  open(null);
  tell(error);
}).finally(poll);
