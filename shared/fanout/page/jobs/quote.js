/** What a job would take, by model, before anything is paid for; its cap, and its start. */

import { h, say } from "../ui/dom.js";
import { count, money, plural, range, span, UNKNOWN } from "../ui/format.js";

const HEADS = ["Model", "Lines", "Tokens in", "Tokens out", "Cost", "Duration"];
const WINDOWS = [
  ["1h", "an hour"],
  ["24h", "a day"],
  ["7d", "a week"],
  ["14d", "two weeks"],
];
const SHOWN = 20; // mistakes that are listed

/**
 * @typedef {{model: HTMLSelectElement, cap: HTMLInputElement, window: HTMLSelectElement}} Fields they outlive a quote
 */

/** @param {() => void} modelChanged @returns {Fields} */
export function quoteFields(modelChanged) {
  return {
    model: h("select", { onchange: modelChanged }),
    cap: h("input", {
      type: "number",
      min: 0.000001,
      step: "any",
      inputMode: "decimal",
      placeholder: "none",
      "aria-describedby": "cap-hint",
    }),
    window: h(
      "select",
      null,
      WINDOWS.map(([value, name]) => h("option", { value, selected: value === "24h" }, name)),
    ),
  };
}

/**
 * @param {string} filename
 * @param {any} quote
 * @param {Fields} fields
 * @param {() => void} start
 * @param {() => void} back
 */
export function quoteView(filename, quote, { model, cap, window }, start, back) {
  const isGood = !quote.errors.length && quote.lines > 0;
  const begin = h(
    "button",
    { type: "submit", class: "primary", disabled: !isGood },
    `Start ${plural(quote.lines, "line")}`,
  );
  const noPrice = quote.cost_high === null || quote.cost_high === undefined;
  const form = h(
    "form",
    {
      class: "card-form",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        begin.disabled = true;
        say(begin, "Starting …");
        start();
      },
    },
    h("h3", null, filename),
    h(
      "dl",
      { class: "tiles" },
      tile("Lines", count(quote.lines)),
      tile(
        "Cost",
        noPrice ? "no price known" : range(money(quote.cost_low), money(quote.cost_high)),
      ),
      tile(
        "Duration",
        quote.minutes === null ? "no limits known" : `about ${span(quote.minutes * 60)}`,
      ),
    ),
    quote.errors.length ? mistakes(quote.errors) : table(quote.models),
    h("p", { class: "hint" }, `Estimates: ${quote.note}.`),
    h(
      "div",
      { class: "pair" },
      h("label", null, "Model of lines that name none", model),
      h("label", null, "Cap in US dollars", cap),
      h("label", null, "To be done within", window),
    ),
    h(
      "p",
      { class: "hint", id: "cap-hint" },
      noPrice
        ? "A cap needs a price for every model."
        : "At the cap no further line is started; those under way are finished.",
    ),
    h(
      "div",
      { class: "actions" },
      begin,
      h("button", { type: "button", onclick: back }, "Choose another file"),
    ),
  );
  return form;
}

/** @param {string} name @param {string} value */
function tile(name, value) {
  return h("div", null, h("dt", null, name), h("dd", null, value));
}

/** @param {Record<string, any>} models */
function table(models) {
  const rows = Object.entries(models).map(([name, part]) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, name),
      h("td", null, count(part.lines)),
      h("td", null, count(part.tokens_in)),
      h("td", null, range(count(part.tokens_out_low), count(part.tokens_out_high))),
      h(
        "td",
        null,
        part.cost_high === null ? UNKNOWN : range(money(part.cost_low), money(part.cost_high)),
      ),
      h("td", null, part.minutes === null ? UNKNOWN : span(part.minutes * 60)),
    ),
  );
  const head = h(
    "tr",
    null,
    HEADS.map((name) => h("th", { scope: "col" }, name)),
  );
  return h(
    "div",
    { class: "scrolls", tabIndex: 0, role: "region", "aria-label": "By model" },
    h("table", null, h("thead", null, head), h("tbody", null, rows)),
  );
}

/** @param {any[]} errors */
export function mistakes(errors) {
  const items = errors
    .slice(0, SHOWN)
    .map((error) => h("li", null, error.line ? `Line ${count(error.line)}: ` : "", error.message));
  const more =
    errors.length > SHOWN && h("p", { class: "hint" }, `And ${count(errors.length - SHOWN)} more.`);
  return h(
    "div",
    { class: "fault-box" },
    h(
      "p",
      null,
      h("strong", null, "The file has mistakes."),
      " Mend these lines, and choose it again.",
    ),
    h("ul", null, items),
    more,
  );
}
