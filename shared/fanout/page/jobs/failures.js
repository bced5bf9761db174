/** The failed lines of a job by their cause, each with the examples that its batch tells. */

import { fill, h } from "../ui/dom.js";
import { cause } from "../ui/error-messages.js";
import { count } from "../ui/format.js";

/** @typedef {{custom_id: string, line: number | null, message: string}} Example */

export function failures() {
  const list = h("ul", { class: "causes" });
  const element = h(
    "section",
    { "aria-label": "Failures", hidden: true },
    h("h3", null, "Failures by cause"),
    list,
  );
  let shown = "";
  return {
    element,
    /** @param {any} batch */
    update(batch) {
      const { causes = {}, examples = {} } = batch.fanout ?? {};
      const state = JSON.stringify([causes, examples]);
      if (state === shown) return;
      shown = state;
      const rows = /** @type {[string, number][]} */ (Object.entries(causes));
      const known = new Map(/** @type {[string, Example[]][]} */ (Object.entries(examples)));
      element.hidden = !rows.length;
      rows.sort((a, b) => b[1] - a[1]);
      fill(
        list,
        rows.map(([code, times]) => row(code, times, known.get(code) ?? [])),
      );
    },
  };
}

/** @param {string} code @param {number} times @param {Example[]} examples */
function row(code, times, examples) {
  const { what, advice } = cause(code);
  return h(
    "li",
    null,
    h(
      "p",
      null,
      h("b", null, `${count(times)} × `),
      h("strong", null, what),
      ` ${advice} `,
      h("code", null, code),
    ),
    examples.length > 0 && h("ul", null, examples.map(example)),
  );
}

/** @param {Example} one */
function example(one) {
  const place = one.line === null ? "" : ` (line ${count(one.line)})`;
  return h("li", null, h("code", null, one.custom_id), `${place} ${one.message}`);
}
