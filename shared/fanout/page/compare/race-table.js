/** The contestants of a race: who won, when the others were cut off, and what that had cost. */

import { h, say } from "../ui/dom.js";
import { BILLING, explain } from "../ui/error-messages.js";
import { count, money, time, UNKNOWN } from "../ui/format.js";
import { isOver, tokens } from "./run.js";

/** @typedef {import("./run.js").Lane} Lane */

const HEADS = ["Model", "Outcome", "First token", "Ran for", "Tokens", "Cost"];

/** @param {Lane[]} lanes */
export function contestants(lanes) {
  const rows = lanes.map(contestant);
  const head = h(
    "tr",
    null,
    HEADS.map((name) => h("th", { scope: "col" }, name)),
  );
  const table = h(
    "table",
    { class: "contestants" },
    h("caption", { class: "unseen" }, "Contestants"),
    h("thead", null, head),
    h(
      "tbody",
      null,
      rows.map((row) => row.element),
    ),
  );
  return {
    element: h(
      "div",
      { class: "scrolls", tabIndex: 0, role: "region", "aria-label": "Contestants" },
      table,
    ),
    /** @param {number} now */
    update(now) {
      for (const row of rows) row.update(now);
    },
  };
}

/** @param {Lane} lane */
function contestant(lane) {
  const cells = HEADS.slice(1).map(() => h("td", null, UNKNOWN));
  const element = h("tr", null, h("th", { scope: "row" }, lane.model), cells);
  return {
    element,
    /** @param {number} now */
    update(now) {
      element.className = `is-${lane.state}${lane.won ? " is-won" : ""}`;
      const { count: many, isExact } = tokens(lane);
      const texts = [
        outcome(lane),
        time(lane.firstMs === null ? null : lane.firstMs - lane.startMs),
        lane.state === "idle" ? UNKNOWN : time((lane.endMs ?? now) - lane.startMs),
        many ? `${isExact ? "" : "≈ "}${count(many)}` : UNKNOWN,
        cost(lane),
      ];
      texts.forEach((text, at) => say(/** @type {Node} */ (cells[at]), text));
    },
  };
}

/** @param {Lane} lane */
function outcome(lane) {
  if (lane.won) return "won";
  if (lane.state === "running") return "running";
  if (lane.state === "cut")
    return lane.billing ? `cut off; ${BILLING[lane.billing] ?? ""}` : "cut off";
  if (lane.state === "idle") return "not started";
  return lane.fault ? explain(lane.fault).what : lane.state;
}

/** @param {Lane} lane */
function cost(lane) {
  if (lane.cost !== null) return money(lane.cost);
  if (lane.state === "cut") return "unknown: cut before it told";
  return isOver(lane) && lane.state !== "idle" && lane.state !== "failed" ? "unknown" : UNKNOWN;
}
