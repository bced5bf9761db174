/** Where a job's file comes from: dropped, chosen, or at the gateway already. */

import { fill, h } from "../ui/dom.js";
import { moment, size } from "../ui/format.js";

/** @param {(file: File) => void} take @param {() => void} sample */
export function dropZone(take, sample) {
  const input = h("input", {
    type: "file",
    accept: ".jsonl,.csv,.tsv,.txt",
    hidden: true,
    onchange: () => {
      const file = input.files?.[0];
      input.value = "";
      if (file) take(file);
    },
  });
  const choose = h(
    "button",
    { type: "button", class: "primary", onclick: () => input.click() },
    "Choose a file",
  );
  const element = h(
    "div",
    { class: "drop" },
    h("p", { class: "drop-title" }, "Drop a JSONL or CSV file here"),
    h(
      "p",
      { class: "hint" },
      "One request a line, as OpenAI's Batch API has it, or just messages; of a CSV, one prompt a row.",
    ),
    h(
      "div",
      { class: "actions" },
      choose,
      h("button", { type: "button", class: "quiet", onclick: sample }, "Try a sample"),
      input,
    ),
  );
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("is-over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("is-over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("is-over");
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
  });
  return element;
}

/** The files that are there. @param {(id: string, filename: string) => void} use */
export function knownFiles(use) {
  let shown = "";
  const list = h("select", { "aria-label": "A file that is at the gateway already" });
  const take = () => {
    if (list.value) use(list.value, list.selectedOptions[0]?.dataset.name ?? "");
  };
  const element = h(
    "div",
    { class: "beside", hidden: true },
    list,
    h("button", { type: "button", onclick: take }, "Use it"),
  );
  return {
    element,
    /** @param {any[]} files */
    update(files) {
      const ids = files.map((file) => file.id).join();
      if (ids === shown) return; // an open list stays open
      shown = ids;
      element.hidden = !files.length;
      const before = list.value;
      fill(list, h("option", { value: "" }, "… or one that is there already"), files.map(option));
      list.value = before;
    },
  };
}

/** @param {any} file */
function option(file) {
  const text = `${file.filename} (${size(file.bytes)}, ${moment(file.created_at)})`;
  return h("option", { value: file.id, "data-name": file.filename }, text);
}
