/** The table of models that share a response: what became of each, when, and what it cost. */

import { h, setText } from "../ui/dom.js";
import { explainError } from "../ui/error-messages.js";
import { formatCount, formatMs, formatUsd, UNKNOWN } from "../ui/format.js";
import { BILLING_LABELS, OUTCOME_LABELS } from "./labels.js";
import { isFinished, tokenCount } from "./run.js";

/** @typedef {import("./run.js").Leg} Leg */

const HEADINGS = ["Model", "Outcome", "First token", "Duration", "Tokens", "Cost"];

/** @param {Leg[]} legs @param {boolean} isRace */
export function raceTable(legs, isRace) {
  const name = isRace ? "Models in this race" : "Models";
  const rows = legs.map(tableRow);
  const head = h(
    "tr",
    null,
    HEADINGS.map((heading) => h("th", { scope: "col" }, heading)),
  );
  const table = h(
    "table",
    { class: "race-table" },
    h("caption", { class: "visually-hidden" }, name),
    h("thead", null, head),
    h(
      "tbody",
      null,
      rows.map((row) => row.element),
    ),
  );
  return {
    element: h("div", { class: "scrolls", tabIndex: 0, role: "region", "aria-label": name }, table),
    /** @param {number} now */
    update(now) {
      for (const row of rows) row.update(now);
    },
  };
}

/** @param {Leg} leg */
function tableRow(leg) {
  const cells = HEADINGS.slice(1).map(() => h("td", null, UNKNOWN));
  const element = h("tr", null, h("th", { scope: "row" }, leg.model), cells);
  return {
    element,
    /** @param {number} now */
    update(now) {
      element.className = `is-${leg.state}${leg.won ? " is-won" : ""}`;
      const { count, isExact } = tokenCount(leg);
      const texts = [
        outcome(leg),
        formatMs(leg.firstTokenMs === null ? null : leg.firstTokenMs - leg.startMs),
        leg.state === "not_started" ? UNKNOWN : formatMs((leg.endMs ?? now) - leg.startMs),
        count ? `${isExact ? "" : "≈ "}${formatCount(count)}` : UNKNOWN,
        cost(leg),
      ];
      texts.forEach((text, at) => setText(/** @type {Node} */ (cells[at]), text));
    },
  };
}

/** @param {Leg} leg */
function outcome(leg) {
  if (leg.outcome && leg.state === "done") {
    const label = OUTCOME_LABELS[leg.outcome] ?? leg.outcome;
    return leg.reason ? `${label}: ${leg.reason}` : label;
  }
  if (leg.won)
    return leg.check && leg.check.model !== leg.model ? `won by ${leg.check.model}` : "won";
  if (leg.state === "running") return "running";
  if (leg.state === "cancelled")
    return leg.billing ? `cancelled; ${BILLING_LABELS[leg.billing] ?? ""}` : "cancelled";
  if (leg.state === "not_started") return "not started";
  return leg.error ? explainError(leg.error).what : leg.state;
}

/** @param {Leg} leg */
function cost(leg) {
  if (leg.cost !== null) return formatUsd(leg.cost);
  if (leg.state === "cancelled") return "unknown: cancelled before it reported usage";
  const isUnknown = isFinished(leg) && leg.state !== "not_started" && leg.state !== "failed";
  return isUnknown ? "unknown" : UNKNOWN;
}
