// Buttons, keys and dropped files, and what they do.

import { $, hush, page, tell } from "./page.js";

export function bind(act) {
  bindButtons(act);
  bindKeys(act);
  bindFiles(act);
  addEventListener("resize", act.resize);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", act.resize);
}

function bindButtons(act) {
  $("banner-close").onclick = hush;
  $("close").onclick = act.close;
  $("pause").onclick = act.pause;
  $("accept").onclick = act.accept;
  $("cancel").onclick = act.cancel;
  $("back").onclick = () => act.step(-1);
  $("forward").onclick = () => act.step(1);
  $("play").onclick = act.play;
  $("slider").oninput = () => act.go(Number($("slider").value));
  $("follow").onchange = () => $("follow").checked && act.stop();
  $("tool-box").onclick = () => act.useTool("box");
  $("tool-polygon").onclick = () => act.useTool("polygon");
  $("add").onclick = () => act.choose(null);
  // A button that was clicked gives the keys back to the page.
  document.addEventListener("click", (event) => event.detail && event.target.closest("button")?.blur());
}

function bindKeys(act) {
  const keys = {
    " ": act.play,
    ArrowLeft: (event) => act.step(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => act.step(event.shiftKey ? 10 : 1),
    Home: () => act.go(0),
    End: () => act.go(page.video.frames - 1),
    Enter: act.enter,
    Escape: act.cancel,
    Backspace: act.takeBack,
    b: () => act.useTool("box"),
    p: () => act.useTool("polygon"),
    n: () => act.choose(null),
  };
  document.addEventListener("keydown", (event) => {
    if (!page.video || event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
    if ([" ", "Enter"].includes(event.key) && event.target.closest("button")) return; // the button's own
    if (event.target.closest("select") || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key](event);
  });
}

function bindFiles(act) {
  $("file").onchange = (event) => {
    const [file] = event.target.files;
    if (file) act.send(file);
    event.target.value = ""; // so that the same one can be chosen again
  };
  $("choose").onkeydown = (event) => ["Enter", " "].includes(event.key) && $("file").click();
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    const { files } = event.dataTransfer;
    if (files.length === 1) act.send(files[0]);
    else tell(files.length ? "drop one video at a time" : "drop a video file from your computer");
  });
}
