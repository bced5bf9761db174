/** A CSV's columns to prompts: which text each row becomes, seen on its first rows. */

import { fill, h } from "../ui/dom.js";
import { size } from "../ui/format.js";
import { convert, fillIn, guess, Rows, separatorOf } from "./csv.js";

const HEAD = 64 * 1024; // bytes that are looked at for the columns
const ROWS = 3;

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
  const template = h("textarea", { rows: 3, oninput: show });
  const system = h("textarea", { rows: 2, placeholder: "You are …" });
  const chips = h("div", { class: "pills" });
  const preview = h("ol", { class: "preview" });
  const go = h("button", { type: "submit", class: "primary" }, "Get a quote");
  const form = h(
    "form",
    {
      class: "card-form",
      onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), void send()),
    },
    h("h3", null, file.name),
    h("p", { class: "hint" }, size(file.size)),
    h("label", null, "Prompt of each row", template),
    h("div", { role: "group", "aria-label": "Insert a column" }, chips),
    h("label", null, "System", system),
    h("h4", null, "The first rows"),
    preview,
    h(
      "div",
      { class: "actions" },
      go,
      h("button", { type: "button", onclick: back }, "Choose another file"),
    ),
  );

  async function look() {
    const text = new TextDecoder().decode(await file.slice(0, HEAD).arrayBuffer());
    separator = separatorOf(text.split(/\r?\n/, 1)[0] ?? "");
    const found = new Rows(separator).feed(`${text}${file.size < HEAD ? "\n" : ""}`);
    [columns = [], ...rows] = found.slice(0, ROWS + 1);
    template.value = `{${guess(columns, rows)}}`;
    fill(
      chips,
      columns.map((name) =>
        h(
          "button",
          { type: "button", class: "pill-button", onclick: () => insert(name) },
          `{${name}}`,
        ),
      ),
    );
    show();
    template.focus();
  }

  /** @param {string} name */
  function insert(name) {
    template.setRangeText(`{${name}}`, template.selectionStart, template.selectionEnd, "end");
    template.focus();
    show();
  }

  function show() {
    fill(
      preview,
      rows.map((row) => h("li", null, fillIn(template.value, valuesOf(row)))),
    );
  }

  /** @param {string[]} row */
  function valuesOf(row) {
    return Object.fromEntries(columns.map((name, at) => [name, row[at] ?? ""]));
  }

  async function send() {
    go.disabled = true;
    try {
      const { lines } = await convert(textOf(file), separator, template.value, system.value.trim());
      if (!lines.length) throw new Error("There is no row with a prompt in it.");
      done(new Blob(lines, { type: "application/jsonl" }));
    } catch (error) {
      failed(error);
    } finally {
      go.disabled = false;
    }
  }

  look().catch(failed);
  return form;
}

/** The file's text in pieces; bytes that are no UTF-8 are an error. @param {File} file */
async function* textOf(file) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const reader = file.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    yield decoder.decode(value, { stream: true });
  }
  yield decoder.decode(); // a letter that is cut off is an error too
}
