/** A job's quote by model before anything is paid for, with its cost cap and the start button. */

import { h, setChildren, setText } from "../ui/dom.js";
import {
  formatCount,
  formatRange,
  formatSeconds,
  formatUsd,
  plural,
  UNKNOWN,
} from "../ui/format.js";
import { laneHint, laneName, laneOptions, nativeLines, nativeOptions } from "./lanes.js";

const HEADINGS = ["Model", "Lines", "Tokens in", "Tokens out", "Cost", "Duration"];
const WINDOWS = [
  ["1h", "1 hour"],
  ["24h", "24 hours"],
  ["7d", "7 days"],
  ["14d", "14 days"],
];
const LANE_HEADINGS = ["Lane", "Lines", "Cost of the file", "A response takes"];
const MAX_ERRORS = 20; // that are listed

/**
 * @typedef {{
 *   model: HTMLSelectElement,
 *   cap: HTMLInputElement,
 *   window: HTMLSelectElement,
 *   lane: HTMLSelectElement,
 *   native: HTMLSelectElement,
 * }} Fields
 * their values are kept from one quote to the next
 */

/** The fields; `changed` is called for those that change the quote. @param {() => void} changed @returns {Fields} */
export function quoteFields(changed) {
  return {
    model: h("select", { onchange: changed }),
    lane: h("select", { onchange: changed, "aria-describedby": "lane-hint" }),
    native: h("select", { onchange: changed, "aria-describedby": "lane-hint" }),
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
      { onchange: changed },
      WINDOWS.map(([value, name]) => h("option", { value, selected: value === "24h" }, name)),
    ),
  };
}

/**
 * @param {{filename: string, isTable: boolean}} input
 * @param {any} quote
 * @param {Fields} fields
 * @param {() => void} start
 * @param {() => void} back
 */
export function quoteView({ filename, isTable }, quote, fields, start, back) {
  const { model, cap, window, lane, native } = fields;
  const hasLanes = Boolean(quote.lanes?.flex || quote.lanes?.native);
  const lanes = hasLanes ? quote.lanes : {};
  setOptions(lane, laneOptions(lanes));
  const choices = nativeOptions(lane.value, lanes);
  setOptions(native, choices);
  const isValid = !quote.errors.length && quote.lines > 0;
  const startButton = h(
    "button",
    { type: "submit", class: "primary", disabled: !isValid },
    `Start ${plural(quote.lines, "line")}`,
  );
  const hasNoPrice = quote.cost_high === null || quote.cost_high === undefined;
  const form = h(
    "form",
    {
      class: "card-form",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        startButton.disabled = true;
        setText(startButton, "Starting …");
        start();
      },
    },
    h("h3", null, filename),
    h(
      "dl",
      { class: "tiles" },
      tile("Lines", formatCount(quote.lines)),
      tile(
        "Cost",
        hasNoPrice
          ? "price unknown"
          : formatRange(formatUsd(quote.cost_low), formatUsd(quote.cost_high)),
      ),
      tile(
        "Duration",
        quote.minutes === null
          ? "rate limits unknown"
          : `about ${formatSeconds(quote.minutes * 60)}`,
      ),
    ),
    quote.errors.length ? fileErrors(quote.errors) : table(quote.models),
    hasLanes && lanesTable(quote.lanes),
    choices.length > 0 && h("p", { class: "hint" }, nativeLines(quote)),
    h("p", { class: "hint" }, `Estimates: ${quote.note}.`),
    h(
      "div",
      { class: "pair" },
      h("label", null, isTable ? "Model" : "Model for lines without one", model),
      h("label", null, "Cost cap in US dollars", cap),
      h("label", null, "Complete within", window),
      hasLanes && h("label", null, "Lane", lane),
      choices.length > 0 && h("label", null, "Native batches", native),
    ),
    hasLanes && h("p", { class: "hint", id: "lane-hint" }, laneHint(quote.lanes)),
    h(
      "p",
      { class: "hint", id: "cap-hint" },
      hasNoPrice
        ? "A cost cap needs a price for every model."
        : "At the cap the job starts no more lines; lines in flight are finished.",
    ),
    h(
      "div",
      { class: "actions" },
      startButton,
      h("button", { type: "button", onclick: back }, "Choose another file"),
    ),
  );
  return form;
}

/** @param {string} name @param {string} value */
function tile(name, value) {
  return h("div", null, h("dt", null, name), h("dd", null, value));
}

/** Offers these options; the selected one stays if it is among them, else it is the first. @param {HTMLSelectElement} select @param {[value: string, name: string][]} options */
function setOptions(select, options) {
  const selected = select.value;
  setChildren(
    select,
    options.map(([value, name]) => h("option", { value }, name)),
  );
  select.value = (options.find(([value]) => value === selected) ?? options[0])?.[0] ?? "";
}

/** What the whole file costs by lane. @param {Record<string, any>} lanes */
function lanesTable(lanes) {
  const rows = Object.entries(lanes).map(([name, lane]) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, laneName(name)),
      h("td", null, formatCount(lane.lines)),
      h(
        "td",
        null,
        lane.cost_high === null
          ? UNKNOWN
          : formatRange(formatUsd(lane.cost_low), formatUsd(lane.cost_high)),
      ),
      h("td", null, lane.latency),
    ),
  );
  const head = h(
    "tr",
    null,
    LANE_HEADINGS.map((name) => h("th", { scope: "col" }, name)),
  );
  return h(
    "div",
    { class: "scrolls", tabIndex: 0, role: "region", "aria-label": "By lane" },
    h("table", null, h("thead", null, head), h("tbody", null, rows)),
  );
}

/** @param {Record<string, any>} models */
function table(models) {
  const rows = Object.entries(models).map(([name, part]) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, name),
      h("td", null, formatCount(part.lines)),
      h("td", null, formatRange(formatCount(part.tokens_in), formatCount(part.tokens_in_high))),
      h(
        "td",
        null,
        formatRange(formatCount(part.tokens_out_low), formatCount(part.tokens_out_high)),
      ),
      h(
        "td",
        null,
        part.cost_high === null
          ? UNKNOWN
          : formatRange(formatUsd(part.cost_low), formatUsd(part.cost_high)),
      ),
      h("td", null, part.minutes === null ? UNKNOWN : formatSeconds(part.minutes * 60)),
    ),
  );
  const head = h(
    "tr",
    null,
    HEADINGS.map((name) => h("th", { scope: "col" }, name)),
  );
  return h(
    "div",
    { class: "scrolls", tabIndex: 0, role: "region", "aria-label": "By model" },
    h("table", null, h("thead", null, head), h("tbody", null, rows)),
  );
}

/** Lists the invalid lines of an input file. @param {any[]} errors */
export function fileErrors(errors) {
  const items = errors
    .slice(0, MAX_ERRORS)
    .map((error) =>
      h("li", null, error.line ? `Line ${formatCount(error.line)}: ` : "", error.message),
    );
  const more =
    errors.length > MAX_ERRORS &&
    h("p", { class: "hint" }, `And ${formatCount(errors.length - MAX_ERRORS)} more.`);
  return h(
    "div",
    { class: "error-box" },
    errors.every((error) => error.code === "native_not_possible")
      ? h("p", null, h("strong", null, "The lanes do not fit the file."))
      : h(
          "p",
          null,
          h("strong", null, "The file has errors."),
          " Correct these lines and choose the file again.",
        ),
    h("ul", null, items),
    more,
  );
}
