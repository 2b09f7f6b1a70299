// What the page knows, for all its parts.

import { Results } from "./results.js";

export const $ = (id) => document.getElementById(id);

export const page = {
  video: null, // the server's state of the video; null: there is none
  results: new Results(),
  limit: Infinity, // bytes of a video; the server refuses too, so a file chosen before it answered is not lost
  colours: [],
  trackers: [], // names
  chosen: null, // target that is drawn next; null: a new one
  shown: -1, // frame
  time: 0, // its seconds
};

export const colourOf = (number) => page.colours[(number - 1) % page.colours.length] ?? "#888";
export const mebi = (bytes) => Math.floor(bytes / 2 ** 20);
export const firstTarget = () => page.video?.targets[0]?.number ?? null;

// The number that a new target will have.
export function newNumber() {
  const taken = page.video.targets.map((target) => target.number);
  let number = 1;
  while (taken.includes(number)) number += 1;
  return number;
}

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}

// Frames from the first to the last of a pair.
export const span = ([first, last]) => (first === last ? `${first}` : `${first}–${last}`);

export function tell(error) {
  const text = typeof error === "string" ? error : error.message;
  const begin = /^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() : text.charAt(0); // not of a file's name
  $("banner-text").textContent = begin + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
  $("banner").hidden = false;
}

export function hush() {
  $("banner").hidden = true;
}

// Ask before something is lost.
export function confirmed(question, answer) {
  const dialog = $("dialog");
  $("dialog-text").textContent = question;
  $("dialog-yes").textContent = answer;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
