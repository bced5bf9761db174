/** The input file of a new job: dropped, chosen, or one that was uploaded before. */

import { h, setChildren } from "../ui/dom.js";
import { formatBytes, formatTimestamp } from "../ui/format.js";

/** @param {(file: File) => void} useFile @param {() => void} useSample */
export function dropZone(useFile, useSample) {
  const input = h("input", {
    type: "file",
    accept: ".jsonl,.csv,.tsv,.txt,.gz",
    hidden: true,
    onchange: () => {
      const file = input.files?.[0];
      input.value = "";
      if (file) useFile(file);
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
      "A JSONL file has one request per line, in the format of OpenAI's Batch API, or only messages. A CSV file has one prompt per row. Both may be gzipped.",
    ),
    h(
      "div",
      { class: "actions" },
      choose,
      h("button", { type: "button", class: "quiet", onclick: useSample }, "Use a sample file"),
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
    if (file) useFile(file);
  });
  return element;
}

/** A list of the files that the gateway has. @param {(id: string, filename: string) => void} useFile */
export function uploadedFiles(useFile) {
  let shownIds = "";
  const list = h("select", { "aria-label": "Uploaded files" });
  const useSelected = () => {
    if (list.value) useFile(list.value, list.selectedOptions[0]?.dataset.name ?? "");
  };
  const element = h(
    "div",
    { class: "beside", hidden: true },
    list,
    h("button", { type: "button", onclick: useSelected }, "Use this file"),
  );
  return {
    element,
    /** @param {any[]} files */
    update(files) {
      const ids = files.map((file) => file.id).join();
      if (ids === shownIds) return; // so that an open list stays open
      shownIds = ids;
      element.hidden = !files.length;
      const selected = list.value;
      setChildren(list, h("option", { value: "" }, "… or use an uploaded file"), files.map(option));
      list.value = selected;
    },
  };
}

/** @param {any} file */
function option(file) {
  const text = `${file.filename} (${formatBytes(file.bytes)}, ${formatTimestamp(file.created_at)})`;
  return h("option", { value: file.id, "data-name": file.filename }, text);
}
