/** What a run knows of the calls behind a response that must fit a schema. Pure. */

/** @typedef {import("./run.js").Leg} Leg */
/** @typedef {import("./run.js").RunRequest} RunRequest */
/**
 * @typedef {object} Call
 * @property {string} model @property {string} outcome the gateway's word for it
 * @property {number | null} durationMs @property {number | null} tokens @property {number | null} cost
 * @property {string} reason why it does not fit, or why it failed
 */
/**
 * @typedef {object} Check
 * @property {boolean} isValid @property {string} reason @property {string} model that responded last
 * @property {Call[]} calls in the order of their ends
 */

/** How the gateway's message about a response that does not fit begins, before the reason. */
const MISMATCH = /^`.*?`: the response does not fit the schema: /u;

/** Whether the responses to a request are checked. @param {RunRequest} request */
export const isChecked = ({ body }) => Boolean(body.fanout?.check);

/** @param {any[]} attempts of a report or an error @returns {Call[]} */
function callsOf(attempts) {
  return attempts
    .filter((attempt) => attempt.outcome !== "not_started")
    .map((attempt) => ({
      model: String(attempt.model),
      outcome: String(attempt.outcome),
      durationMs: attempt.duration_ms ?? null,
      tokens: attempt.usage?.completion_tokens ?? null,
      cost: attempt.cost_usd ?? null,
      reason: String(attempt.error?.message ?? "").replace(MISMATCH, ""),
    }));
}

/** Sets the check of a leg whose response fits. @param {Leg} leg @param {any[]} attempts */
export function setValid(leg, attempts) {
  const calls = callsOf(attempts);
  const winner = calls.findLast((call) => call.outcome === "won");
  leg.check = { isValid: true, reason: "", model: winner?.model ?? leg.model, calls };
}

/**
 * Sets the check of a leg without a response that fits, and its last text.
 * @param {Leg} leg @param {any} error with `text`, `reason` and `attempts`
 */
export function setInvalid(leg, error) {
  const calls = callsOf(error.attempts ?? []);
  const model = calls.findLast((call) => call.outcome === "invalid")?.model ?? leg.model;
  leg.check = { isValid: false, reason: String(error.reason ?? error.message ?? ""), model, calls };
  leg.text = String(error.text ?? "");
}

/**
 * What the report of a checked race says of one leg: its calls together. `null` without any.
 * @param {Leg} leg @param {any[]} attempts of all models
 */
export function callsOfLeg(leg, attempts) {
  const own = attempts.filter(
    (attempt) => attempt.model === leg.model && attempt.outcome !== "not_started",
  );
  const last = own.at(-1);
  if (!last) return null;
  return {
    ...last,
    first_token_ms: own[0].first_token_ms,
    duration_ms: own.reduce((sum, attempt) => sum + (attempt.duration_ms ?? 0), 0),
    cost_usd: costOf(own),
  };
}

/** What calls cost together; `null` if no cost is known. @param {any[]} calls */
export function costOf(calls) {
  const costs = calls.map((call) => call.cost_usd).filter((cost) => typeof cost === "number");
  return costs.length ? costs.reduce((sum, cost) => sum + cost) : null;
}
