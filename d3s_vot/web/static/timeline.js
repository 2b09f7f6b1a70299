// The rows of confidence under the picture, and the line at the frame that is shown.

import { drawRow, frameAt, placeOf } from "./chart.js";
import { $, colourOf, element, page, span } from "./page.js";

const rows = () => [...document.querySelectorAll("#charts .row")];
const plot = () => document.querySelector("#charts .row canvas");

export function renderCharts() {
  const { video, results } = page;
  const numbers = video.targets.map(({ number }) => `${number}`);
  if (rows().map((row) => row.dataset.number).join() !== numbers.join()) makeRows(numbers);
  rows().forEach((row, k) => {
    const { number, drawn } = video.targets[k];
    const losses = results.losses(number);
    const canvas = row.querySelector("canvas");
    drawRow(canvas, { records: results.of(number), losses, drawn, colour: colourOf(number), count: video.count });
    const lost = losses.length ? `lost at frames ${losses.map(span).join(", ")}` : "never lost";
    canvas.setAttribute("aria-label", `Confidence of target ${number} over the frames; ${lost}`);
  });
  placeCursor();
}

function makeRows(numbers) {
  const charts = $("charts");
  charts.replaceChildren();
  if (!numbers.length) return;
  for (const number of numbers) {
    const dot = element("span", { className: "dot" });
    dot.style.background = colourOf(Number(number));
    const canvas = element("canvas");
    canvas.setAttribute("role", "img");
    const row = element("div", { className: "row" }, element("span", { className: "number" }, dot, number), canvas);
    row.dataset.number = number;
    charts.append(row);
  }
  const legend = element("div", { className: "legend soft" }, element("span", {}, "Confidence, 0 to 1"));
  for (const [kind, text] of [["gap", "lost"], ["tip", "drawn"]]) {
    legend.append(element("span", {}, element("i", { className: kind }), text));
  }
  charts.append(legend, element("div", { className: "cursor", id: "cursor" }));
}

export function placeCursor() {
  const canvas = plot();
  if (!canvas) return;
  const place = placeOf(Math.max(page.shown, 0), canvas.clientWidth, page.video.count);
  $("cursor").style.left = `${canvas.offsetLeft + place}px`;
  $("cursor").style.height = `${rows().length * canvas.parentElement.offsetHeight}px`;
}

// Calls back with the frame that is clicked or dragged to.
export function onScrub(go) {
  const scrub = (event) => {
    const canvas = plot();
    if (!canvas || !event.target.closest(".row")) return;
    const area = canvas.getBoundingClientRect();
    if (event.clientX >= area.left) go(frameAt(event.clientX - area.left, area.width, page.video.count));
  };
  $("charts").addEventListener("pointerdown", scrub);
  $("charts").addEventListener("pointermove", (event) => event.buttons === 1 && scrub(event));
}
