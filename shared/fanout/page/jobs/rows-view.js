/** The rows of a job that has ended: prompt, response and tokens; all or the failed ones; as CSV. */

import { ApiError, request, requestJson } from "../api/client.js";
import { downloadBlob, h, setChildren, setText } from "../ui/dom.js";
import { formatCount, plural, UNKNOWN } from "../ui/format.js";
import { csvOf, joined, promptOf, resultOf } from "./result-rows.js";

const MAX_BYTES = 4_000_000; // that are read of each file to show its first rows
const MAX_RETRIES = 20; // jobs of which each runs the failed lines of the one before
const PAGE = 50; // rows that are shown at once
const BOM = "\uFEFF"; // with it, Excel reads a CSV as UTF-8

/** @typedef {import("./result-rows.js").Row} Row */

/**
 * @param {(error: unknown) => void} failed
 * @param {() => string} fileName the name of a download, without its suffix
 */
export function rowsView(failed, fileName) {
  /** @type {any} */
  let batch = null;
  /** @type {Row[]} */
  let rows = [];
  let isFailedOnly = false;
  let shown = PAGE;
  const filters = h("div", { class: "tabs", role: "group", "aria-label": "Rows" });
  const body = h("tbody");
  const note = h("p", { class: "hint" });
  const more = h("button", { type: "button", class: "small", onclick: showMore }, "Show more rows");
  const exportButton = h(
    "button",
    { type: "button", class: "small", onclick: () => void exportCsv() },
    "Export CSV",
  );
  const table = h(
    "table",
    { class: "rows" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        ["Row", "Prompt", "Response", "Tokens"].map((name) => h("th", { scope: "col" }, name)),
      ),
    ),
    body,
  );
  const element = h(
    "section",
    { "aria-label": "Rows", hidden: true },
    h("div", { class: "rows-head" }, h("h3", null, "Rows"), filters, exportButton),
    h("div", { class: "scrolls" }, table),
    note,
    more,
  );

  function show() {
    const failures = rows.filter((row) => row.error);
    const all = isFailedOnly ? failures : rows;
    setChildren(body, all.slice(0, shown).map(tableRow));
    more.hidden = all.length <= shown;
    setChildren(
      filters,
      filter(`All ${formatCount(rows.length)}`, false),
      filter(`Failed ${formatCount(failures.length)}`, true),
    );
    const { completed, failed: count } = batch.request_counts;
    const left = completed + count - rows.length;
    const text = left > 0 ? `The first ${plural(rows.length, "row")}. The CSV has all.` : "";
    setText(note, isFailedOnly && !failures.length ? "No row has failed." : text);
  }

  /** @param {string} label @param {boolean} value */
  function filter(label, value) {
    return h(
      "button",
      {
        type: "button",
        class: "quiet small",
        "aria-pressed": String(isFailedOnly === value),
        onclick: () => {
          [isFailedOnly, shown] = [value, PAGE];
          show();
          /** @type {HTMLElement} */ (filters.children[Number(value)]).focus();
        },
      },
      label,
    );
  }

  function showMore() {
    shown += PAGE;
    show();
  }

  async function exportCsv() {
    exportButton.disabled = true;
    try {
      const text = BOM + csvOf(await readRows(batch, Infinity));
      downloadBlob(new Blob([text], { type: "text/csv" }), `${fileName()}.output.csv`);
    } catch (error) {
      failed(error);
    } finally {
      exportButton.disabled = false;
    }
  }

  return {
    element,
    /** Reads and shows the rows of a job that has ended. @param {any} ended */
    async load(ended) {
      batch = ended;
      if (!batch.output_file_id && !batch.error_file_id) return;
      try {
        rows = await readRows(batch, MAX_BYTES);
      } catch (error) {
        return failed(error);
      }
      element.hidden = false;
      show();
    },
  };
}

/** @param {Row} row */
function tableRow({ id, prompt, response, error, tokens, calls }) {
  const check = calls && `${error ? "Invalid" : "Valid"} · ${plural(calls, "call")}`;
  return h(
    "tr",
    { class: error ? "is-failed" : "" },
    h("th", { scope: "row" }, id),
    h("td", null, longText(prompt ?? UNKNOWN)),
    h(
      "td",
      null,
      longText(error || response || "(empty)"),
      error && response ? longText(response) : null,
      check && h("span", { class: "hint" }, check),
    ),
    h("td", null, tokens === null ? UNKNOWN : formatCount(tokens)),
  );
}

const SHORT = 160; // characters of a cell that are shown at first

/** A text; a long one shows its beginning, and opens. @param {string} text */
function longText(text) {
  if (text.length <= SHORT) return h("div", { class: "cell" }, text);
  return h(
    "details",
    { class: "cell" },
    h("summary", null, `${text.slice(0, SHORT).trimEnd()} …`),
    h("div", null, text),
  );
}

/**
 * The rows of a job, from the first bytes of its files.
 * @param {any} batch
 * @param {number} maxBytes of each file
 */
async function readRows(batch, maxBytes) {
  const { input_file_id: source } = await firstJob(batch);
  const [input, output, errors] = await Promise.all(
    [source, batch.output_file_id, batch.error_file_id].map((id) =>
      id ? readLines(id, maxBytes) : [],
    ),
  );
  const prompts = (input ?? []).map((line, at) => promptOf(line, at + 1));
  return joined(prompts, [...(output ?? []), ...(errors ?? [])].map(resultOf));
}

/**
 * The job whose failed lines a job has run again, maybe several times: its input has all prompts.
 * @param {any} batch
 */
async function firstJob(batch) {
  let first = batch;
  for (let times = 0; first.fanout?.retry_of && times < MAX_RETRIES; times += 1) {
    try {
      first = await requestJson(`batches/${first.fanout.retry_of}`);
    } catch (error) {
      if (error instanceof ApiError && error.info.status === 404) break; // it is deleted
      throw error;
    }
  }
  return first;
}

/** The whole lines in the first bytes of a file. @param {string} id @param {number} maxBytes */
async function readLines(id, maxBytes) {
  const response = await request(`files/${id}/content`);
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  const texts = [];
  let left = maxBytes;
  while (left > 0) {
    const { done, value } = await reader.read();
    if (done) break;
    left -= value.length;
    texts.push(decoder.decode(value, { stream: true }));
  }
  const lines = texts.join("").split("\n");
  if (left <= 0) {
    void reader.cancel();
    lines.pop(); // it may not be whole
  }
  return lines.filter((line) => line.trim());
}
