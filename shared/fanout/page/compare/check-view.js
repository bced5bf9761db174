/** Whether a response fits the schema of its request, and the calls that were made for it. */

import { h, setChildren, setText } from "../ui/dom.js";
import { formatMs, formatUsd, plural } from "../ui/format.js";

/** @typedef {import("./run.js").Leg} Leg */
/** @typedef {import("./checked-calls.js").Call} Call */

/** @type {Record<string, string>} */
const OUTCOMES = { won: "valid", invalid: "invalid", failed: "failed", cancelled: "cancelled" };

/** @param {Leg} leg */
export function checkedCalls(leg) {
  const verdict = h("summary");
  const list = h("ol", { class: "calls" });
  const calls = h("details", null, verdict, list);
  const reason = h("p");
  const element = h("div", { class: "check-result", hidden: true }, calls, reason);
  /** @type {Leg["check"]} */
  let shown = null;
  return {
    element,
    update() {
      const { check } = leg;
      if (check === shown) return;
      shown = check;
      element.hidden = !check;
      if (!check) return;
      const { isValid, model } = check;
      const word = isValid ? "✓ Valid" : "✗ Invalid";
      const source = isValid && model !== leg.model ? `, from ${model}` : "";
      element.className = `check-result ${isValid ? "is-valid" : "is-invalid"}`;
      setText(verdict, `${word}${source} · ${plural(check.calls.length, "call")}`);
      setText(reason, check.reason);
      reason.hidden = !check.reason;
      setChildren(list, check.calls.map(callItem));
    },
  };
}

/** @param {Call} call */
function callItem({ model, outcome, durationMs, tokens, cost, reason }) {
  const facts = [
    durationMs === null ? "" : formatMs(durationMs),
    tokens === null ? "" : plural(tokens, "token"),
    cost === null ? "" : formatUsd(cost),
  ].filter(Boolean);
  const word = OUTCOMES[outcome] ?? outcome;
  return h(
    "li",
    { class: `is-${word}` },
    h("b", null, model),
    ` ${[word, ...facts].join(", ")}`,
    reason && h("span", { class: "reason" }, reason),
  );
}
