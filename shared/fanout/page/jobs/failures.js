/** A job's failed lines, grouped by error code, each with the examples that the API reports. */

import { h, setChildren } from "../ui/dom.js";
import { explainCause } from "../ui/error-messages.js";
import { formatCount } from "../ui/format.js";

/** @typedef {{custom_id: string, line: number | null, message: string}} Example */

export function failuresView() {
  const list = h("ul", { class: "causes" });
  const element = h(
    "section",
    { "aria-label": "Failures", hidden: true },
    h("h3", null, "Failures by cause"),
    list,
  );
  let shownState = "";
  return {
    element,
    /** @param {any} batch */
    update(batch) {
      const { causes = {}, examples = {} } = batch.fanout ?? {};
      const state = JSON.stringify([causes, examples]);
      if (state === shownState) return;
      shownState = state;
      const rows = /** @type {[string, number][]} */ (Object.entries(causes));
      const examplesOf = new Map(/** @type {[string, Example[]][]} */ (Object.entries(examples)));
      element.hidden = !rows.length;
      rows.sort((a, b) => b[1] - a[1]);
      setChildren(
        list,
        rows.map(([code, lines]) => causeItem(code, lines, examplesOf.get(code) ?? [])),
      );
    },
  };
}

/** @param {string} code @param {number} lines @param {Example[]} examples */
function causeItem(code, lines, examples) {
  const { what, advice } = explainCause(code);
  return h(
    "li",
    null,
    h(
      "p",
      null,
      h("b", null, `${formatCount(lines)} × `),
      h("strong", null, what),
      ` ${advice} `,
      h("code", null, code),
    ),
    examples.length > 0 && h("ul", null, examples.map(exampleItem)),
  );
}

/** @param {Example} example */
function exampleItem(example) {
  const isRow = /^row-\d+$/.test(example.custom_id); // of a table, whose lines are others
  const place = example.line === null || isRow ? "" : ` (line ${formatCount(example.line)})`;
  return h("li", null, h("code", null, example.custom_id), `${place} ${example.message}`);
}
