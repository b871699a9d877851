/** The canvas page: a drawing or a chosen picture goes to the ensemble, and its three best guesses come back. */

import { post } from "./api.js";
import { Drawing } from "./drawing.js";

const PAUSE = 350; // Milliseconds of rest after a stroke before the drawing is read.
const SIDE = 280; // Pixels of the picture that is sent.
const LARGEST = 8 * 2 ** 20; // Bytes of a chosen picture; more would not fit into a request once encoded.

const page = document.querySelector("[data-canvas-page]");
const find = (selector) => page.querySelector(selector);
const status = find("[data-status]");
const surface = find("[data-surface]");
const preview = find("[data-preview]");
const rows = [...find("[data-guesses]").children];
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });

const drawing = new Drawing(find("[data-drawing]"), onDrawn);
let pause;
let latest = 0;

function onDrawn() {
  clearTimeout(pause);
  preview.hidden = true;
  find("[data-invitation]").hidden = !drawing.empty;
  find("[data-undo]").disabled = find("[data-clear]").disabled = drawing.empty;
  if (drawing.empty) {
    latest += 1;
    show([]);
    say("");
  } else {
    pause = setTimeout(() => read(drawing.toDataURL(SIDE)), PAUSE);
  }
}

/** Have a picture read. Of several under way, only the last one asked for is shown. */
async function read(image) {
  latest += 1;
  const turn = latest;
  try {
    const { guesses } = await post("/api/v1/predictions", { image });
    if (turn === latest) {
      show(guesses);
      say(`It reads ${guesses[0].character}, ${percent.format(guesses[0].probability)} sure.`);
    }
  } catch (error) {
    if (turn === latest) {
      show([]);
      preview.hidden = true;
      find("[data-invitation]").hidden = !drawing.empty;
      say(error.message, { wrong: true });
    }
  }
}

function show(guesses) {
  for (const [index, row] of rows.entries()) {
    const guess = guesses[index];
    row.querySelector("[data-character]").textContent = guess?.character ?? "–";
    row.querySelector("[data-share]").textContent = guess ? shareOf(guess) : "";
    row.querySelector("[data-bar]").style.width = `${100 * (guess?.probability ?? 0)}%`;
  }
}

function shareOf({ probability }) {
  return probability < 0.001 ? `<${percent.format(0.001)}` : percent.format(probability);
}

function say(text, { wrong = false } = {}) {
  status.textContent = text;
  status.toggleAttribute("data-wrong", wrong);
}

function take(file) {
  if (!file) return;
  if (!file.type.startsWith("image/")) return say("This is not a picture.", { wrong: true });
  if (file.size > LARGEST) return say("This picture is larger than 8 MB. Choose a smaller one.", { wrong: true });
  drawing.clear();
  say(`Reading ${file.name || "the picture"} …`);
  const reader = new FileReader();
  reader.addEventListener("load", () => {
    preview.src = reader.result;
    preview.hidden = find("[data-clear]").disabled = false;
    find("[data-invitation]").hidden = true;
    read(reader.result);
  });
  reader.addEventListener("error", () => say("This file can’t be opened.", { wrong: true }));
  reader.readAsDataURL(file);
}

find("[data-undo]").addEventListener("click", () => drawing.undo());
find("[data-clear]").addEventListener("click", () => drawing.clear());
find("[data-drawing]").addEventListener("pointerdown", () => {
  preview.hidden = find("[data-invitation]").hidden = true;
});
find("[data-file]").addEventListener("change", (event) => {
  take(event.target.files[0]);
  event.target.value = ""; // So that the same file can be chosen again.
});
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
surface.addEventListener("dragover", (event) => {
  event.preventDefault();
  surface.dataset.over = "";
});
surface.addEventListener("dragleave", () => delete surface.dataset.over);
surface.addEventListener("drop", (event) => {
  event.preventDefault();
  delete surface.dataset.over;
  take(event.dataTransfer.files[0]);
});
