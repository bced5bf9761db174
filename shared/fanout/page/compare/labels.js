/** What the page shows for a leg's state, its finish reason and its billing. Pure. */

/** @typedef {import("./run.js").Leg} Leg */

/** @type {Record<import("./run.js").State, string>} */
const STATE_LABELS = {
  running: "waiting",
  streaming: "streaming",
  done: "done",
  failed: "failed",
  stopped: "stopped",
  lost: "connection lost",
  cancelled: "cancelled",
  not_started: "not started",
};

/** What became of a response that votes or a judge decide on. @type {Record<string, string>} */
export const OUTCOME_LABELS = {
  won: "chosen",
  agreed: "agrees",
  dissented: "disagrees",
  no_vote: "no vote",
  lost: "not chosen",
  merged: "merged",
  invalid: "invalid",
  cancelled: "cancelled",
  not_started: "not called",
};

/** A leg's state in words; of a checked response also whether it is valid. @param {Leg} leg */
export function stateLabel({ state, check }) {
  if (check && (state === "done" || state === "failed")) return check.isValid ? "valid" : "invalid";
  return STATE_LABELS[state];
}

/** @type {Record<string, string>} */
export const FINISH_LABELS = {
  stop: "complete",
  length: "max tokens",
  tool_calls: "tool call",
  content_filter: "content filter",
  error: "failed",
};

/** Whether a provider still bills a call after it is cancelled. @type {Record<string, string>} */
export const BILLING_LABELS = {
  stops: "billing stops",
  continues: "billed in full",
  unknown: "billing unknown",
};
