/** The form that turns a CSV's rows into prompts with a template, with a preview of the first rows. */

import { h, setChildren, setText } from "../ui/dom.js";
import { formatBytes } from "../ui/format.js";
import { formatFields, NO_FORMAT } from "../ui/response-format.js";
import { responseFormatForm } from "../ui/response-format-form.js";
import { CsvReader, csvToLines, detectSeparator, guessPromptColumn, SEPARATORS } from "./csv.js";
import { decode, ENCODINGS, shown } from "./encodings.js";
import { openInput } from "./input-file.js";
import { checkSystem, checkTemplate, fillTemplate, hasValue } from "./template.js";

const HEAD_CHARACTERS = 64 * 1024; // read for the column names and the preview
const PREVIEW_ROWS = 3;
const SEPARATOR_NAMES = ["comma ,", "semicolon ;", "tab", "bar |"];

/**
 * @param {File} file
 * @param {(lines: Blob, notes: string[]) => void} done
 * @param {() => void} back
 * @param {(error: unknown) => void} failed
 * @param {string[]} models that the gateway lists
 */
export function csvForm(file, done, back, failed, models) {
  /** @type {string[]} */
  let columns = [];
  /** @type {string[][]} */
  let rows = [];
  /** @type {import("./input-file.js").InputFile | null} */
  let input = null;
  let found = { separator: ",", isNamed: false };
  const template = h("textarea", {
    rows: 3,
    oninput: showPreview,
    "aria-describedby": "template-problem",
  });
  const problem = h("p", { class: "error", id: "template-problem", role: "status" });
  const notes = h("p", { class: "hint" });
  const maxTokens = numberField({ min: 1, placeholder: "model default" });
  const temperature = numberField({ min: 0, max: 2, step: 0.1, placeholder: "model default" });
  const limit = numberField({ min: 1, placeholder: "all" });
  const system = h("textarea", { rows: 2, placeholder: "You are …", oninput: showPreview });
  const format = responseFormatForm(NO_FORMAT, showPreview);
  format.setModels(models);
  const columnButtons = h("div", { class: "pills" });
  const preview = h("ol", { class: "preview" });
  const submit = h("button", { type: "submit", class: "primary" }, "Get a quote");
  const read = () => void readHead().catch(failed);
  const detectedEncoding = h("option", { value: "" }, "found in the file");
  const encoding = h("select", { onchange: read }, detectedEncoding, ENCODINGS.map(option));
  const detectedSeparator = h("option", { value: "" }, "found in the file");
  const separator = h(
    "select",
    { onchange: read },
    detectedSeparator,
    SEPARATORS.map((one, at) => h("option", { value: one }, SEPARATOR_NAMES[at] ?? one)),
  );
  const form = h(
    "form",
    {
      class: "card-form",
      onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), void send()),
    },
    h("h3", null, file.name),
    h("p", { class: "hint" }, formatBytes(file.size)),
    h("label", null, "Prompt for each row", template),
    problem,
    notes,
    h("div", { role: "group", "aria-label": "Insert a column" }, columnButtons),
    h("label", null, "System message", system),
    h(
      "div",
      { class: "pair" },
      h("label", null, "Max tokens", maxTokens),
      h("label", null, "Temperature", temperature),
      h("label", null, "Only the first rows", limit),
    ),
    format.element,
    h(
      "div",
      { class: "pair" },
      h("label", null, "Separator", separator),
      h("label", null, "Encoding", encoding),
    ),
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
    input = await openInput(file, encoding.value);
    const { text, isWhole } = await headOf(input);
    const detected = detectSeparator(text, isWhole);
    found = { ...detected, separator: separator.value || detected.separator };
    detectedEncoding.textContent = encoding.value ? "found in the file" : shown(input.encoding);
    detectedSeparator.textContent = separator.value
      ? "found in the file"
      : (SEPARATOR_NAMES[SEPARATORS.indexOf(found.separator)] ?? found.separator);
    const reader = makeReader(input);
    const first = [...reader.feed(text), ...(isWhole ? reader.end() : [])];
    if (reader.columns.join() !== columns.join()) {
      columns = reader.columns;
      template.value = `{${guessPromptColumn(columns, cellsOf(first))}}`;
    }
    rows = cellsOf(first);
    setChildren(
      columnButtons,
      columns
        .filter(Boolean)
        .map((name) =>
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

  /** @param {import("./input-file.js").InputFile} opened */
  function makeReader({ encoding: used, isDamaged }) {
    const options = { encoding: isDamaged ? used : null, hasFirstLine: found.isNamed };
    return new CsvReader(found.separator, options);
  }

  /** @param {string} name */
  function insert(name) {
    template.setRangeText(`{${name}}`, template.selectionStart, template.selectionEnd, "end");
    template.focus();
    showPreview();
  }

  function showPreview() {
    const checked = checkTemplate(template.value, columns);
    const checkedSystem = checkSystem(system.value, columns);
    const wrong = checked.problem || checkedSystem.problem;
    setText(problem, wrong && sentence(wrong));
    setText(notes, [...checked.notes, ...checkedSystem.notes].map(sentence).join(" "));
    submit.disabled = Boolean(wrong || format.problem());
    setChildren(
      preview,
      checked.problem ? null : rows.map((row) => h("li", null, previewOf(valuesOf(row)))),
    );
  }

  /** @param {Record<string, string>} row */
  function previewOf(row) {
    if (hasValue(template.value, row)) return fillTemplate(template.value, row);
    return h("i", null, "skipped: its columns are empty");
  }

  /** @param {string[]} row */
  function valuesOf(row) {
    return Object.fromEntries(columns.map((name, at) => [name, row[at] ?? ""]));
  }

  async function send() {
    submit.disabled = true;
    try {
      input ??= await openInput(file, encoding.value);
      const text = decode(input.read(), input.encoding);
      const made = await csvToLines(text, makeReader(input), template.value, {
        system: system.value.trim(),
        maxTokens: numberOf(maxTokens),
        temperature: numberOf(temperature),
        limit: numberOf(limit),
        fields: formatFields(format.value()),
      });
      done(new Blob(made.lines, { type: "application/jsonl" }), [...input.notes, ...made.notes]);
    } catch (error) {
      failed(error);
    } finally {
      submit.disabled = false;
    }
  }

  read();
  return form;
}

/** @param {Record<string, unknown>} limits */
const numberField = (limits) => h("input", { type: "number", inputMode: "decimal", ...limits });

/** @param {HTMLInputElement} field */
const numberOf = (field) => (field.value === "" ? null : field.valueAsNumber);

/** @param {string} text */
const sentence = (text) =>
  `${text[0]?.toUpperCase()}${text.slice(1)}${/[.?]$/.test(text) ? "" : "."}`;

/** @param {string} name */
const option = (name) => h("option", { value: name }, shown(name));

/** @param {{cells: string[]}[]} rows */
const cellsOf = (rows) => rows.slice(0, PREVIEW_ROWS).map((row) => row.cells);

/** Returns the file's first characters, and whether they are all. @param {import("./input-file.js").InputFile} input */
async function headOf(input) {
  let text = "";
  for await (const chunk of decode(input.read(), input.encoding)) {
    text += chunk;
    if (text.length > HEAD_CHARACTERS)
      return { text: text.slice(0, HEAD_CHARACTERS), isWhole: false };
  }
  return { text, isWhole: true };
}
