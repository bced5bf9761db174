/** The failed lines of a job by their cause, each with some examples out of the error file. */

import { ApiError, readLines } from "./api.js";
import { fill, h } from "./dom.js";
import { count } from "./format.js";
import { cause } from "./words.js";

const EXAMPLES = 3; // of a cause
const LINES = 2000; // of the error file that are looked at

/** @typedef {{name: string, message: string}} Example */

export function failures() {
  /** @type {Map<string, Example[]>} */
  const examples = new Map();
  const list = h("ul", { class: "causes" });
  const element = h(
    "section",
    { "aria-label": "Failures", hidden: true },
    h("h3", null, "Failures by cause"),
    list,
  );
  let read = "";
  let shown = "";

  /** @param {any} batch */
  function show(batch) {
    const causes = Object.entries(
      /** @type {Record<string, number>} */ (batch.fanout?.causes ?? {}),
    );
    const unrun = batch.error_file_id
      ? [...examples.keys()].filter((code) => !causes.some(([known]) => known === code))
      : [];
    const rows = [
      ...causes.sort((a, b) => b[1] - a[1]),
      ...unrun.map((code) => /** @type {[string, number | null]} */ ([code, null])),
    ];
    const state = JSON.stringify([
      rows,
      [...examples.values()].map((some) => some.length),
      Boolean(batch.error_file_id),
    ]);
    if (state === shown) return;
    shown = state;
    element.hidden = !rows.length;
    fill(
      list,
      rows.map(([code, times]) => row(code, times, Boolean(batch.error_file_id))),
    );
  }

  /** @param {string} code @param {number | null} times @param {boolean} isOver */
  function row(code, times, isOver) {
    const { what, advice } = cause(code);
    const some = examples.get(code) ?? [];
    return h(
      "li",
      null,
      h(
        "p",
        null,
        times !== null && h("b", null, `${count(times)} × `),
        h("strong", null, what),
        ` ${advice} `,
        h("code", null, code),
      ),
      some.length
        ? h(
            "ul",
            null,
            some.map((one) => h("li", null, h("code", null, one.name), ` ${one.message}`)),
          )
        : !isOver &&
            h("p", { class: "hint" }, "Examples come with the error file, when the job is over."),
    );
  }

  /** @param {any} batch */
  async function load(batch) {
    read = batch.error_file_id;
    let left = LINES;
    try {
      await readLines(read, (line) => {
        keep(JSON.parse(line));
        left -= 1;
        return left > 0;
      });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      read = ""; // told by the banner; the next look reads it again
    }
    show(batch);
  }

  /** @param {any} line */
  function keep(line) {
    const error = line.error ?? line.response?.body?.error ?? {};
    const code = error.code ?? "other";
    const some = examples.get(code) ?? [];
    if (some.length < EXAMPLES)
      some.push({ name: String(line.custom_id), message: String(error.message ?? "") });
    examples.set(code, some);
  }

  return {
    element,
    /** @param {any} batch */
    update(batch) {
      show(batch);
      if (batch.error_file_id && batch.error_file_id !== read) void load(batch);
    },
  };
}
