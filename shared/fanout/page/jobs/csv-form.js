/** The form that turns a CSV's rows into prompts with a template, with a preview of the first rows. */

import { h, setChildren } from "../ui/dom.js";
import { formatBytes } from "../ui/format.js";
import { CsvParser, csvToLines, detectSeparator, fillTemplate, guessPromptColumn } from "./csv.js";

const HEAD_BYTES = 64 * 1024; // read for the column names and the preview
const PREVIEW_ROWS = 3;

/**
 * @param {File} file
 * @param {(lines: Blob) => void} done
 * @param {() => void} back
 * @param {(error: unknown) => void} failed
 */
export function csvForm(file, done, back, failed) {
  /** @type {string[]} */
  let columns = [];
  /** @type {string[][]} */
  let rows = [];
  let separator = ",";
  const template = h("textarea", { rows: 3, oninput: showPreview });
  const system = h("textarea", { rows: 2, placeholder: "You are …" });
  const columnButtons = h("div", { class: "pills" });
  const preview = h("ol", { class: "preview" });
  const submit = h("button", { type: "submit", class: "primary" }, "Get a quote");
  const form = h(
    "form",
    {
      class: "card-form",
      onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), void send()),
    },
    h("h3", null, file.name),
    h("p", { class: "hint" }, formatBytes(file.size)),
    h("label", null, "Prompt for each row", template),
    h("div", { role: "group", "aria-label": "Insert a column" }, columnButtons),
    h("label", null, "System message", system),
    h("h4", null, "Preview of the first rows"),
    preview,
    h(
      "div",
      { class: "actions" },
      submit,
      h("button", { type: "button", onclick: back }, "Choose another file"),
    ),
  );

  async function readHead() {
    const text = new TextDecoder().decode(await file.slice(0, HEAD_BYTES).arrayBuffer());
    separator = detectSeparator(text.split(/\r?\n/, 1)[0] ?? "");
    const found = new CsvParser(separator).feed(`${text}${file.size < HEAD_BYTES ? "\n" : ""}`);
    [columns = [], ...rows] = found.slice(0, PREVIEW_ROWS + 1);
    template.value = `{${guessPromptColumn(columns, rows)}}`;
    setChildren(
      columnButtons,
      columns.map((name) =>
        h(
          "button",
          { type: "button", class: "pill-button", onclick: () => insert(name) },
          `{${name}}`,
        ),
      ),
    );
    showPreview();
    template.focus();
  }

  /** @param {string} name */
  function insert(name) {
    template.setRangeText(`{${name}}`, template.selectionStart, template.selectionEnd, "end");
    template.focus();
    showPreview();
  }

  function showPreview() {
    setChildren(
      preview,
      rows.map((row) => h("li", null, fillTemplate(template.value, valuesOf(row)))),
    );
  }

  /** @param {string[]} row */
  function valuesOf(row) {
    return Object.fromEntries(columns.map((name, at) => [name, row[at] ?? ""]));
  }

  async function send() {
    submit.disabled = true;
    try {
      const { lines } = await csvToLines(
        readText(file),
        separator,
        template.value,
        system.value.trim(),
      );
      if (!lines.length) throw new Error("No row has a prompt.");
      done(new Blob(lines, { type: "application/jsonl" }));
    } catch (error) {
      failed(error);
    } finally {
      submit.disabled = false;
    }
  }

  readHead().catch(failed);
  return form;
}

/** Yields the file's text in chunks. Throws if the file is not UTF-8. @param {File} file */
async function* readText(file) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const reader = file.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    yield decoder.decode(value, { stream: true });
  }
  yield decoder.decode(); // throws if the file ends inside a character
}
