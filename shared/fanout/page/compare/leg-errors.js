/** What the errors of a request mean for its legs. Pure. */

import { callsOfLeg, isChecked, setInvalid } from "./checked-calls.js";

/** @typedef {import("../api/client.js").ErrorInfo} ErrorInfo */
/** @typedef {import("./run.js").RunRequest} RunRequest */
/** @typedef {import("./run.js").State} State */

/** @typedef {ErrorInfo & {causes?: any[], attempts?: any[]}} RequestError */

/** The HTTP status of an error in a stream, which has only a type. @type {Record<string, number>} */
const STATUS_OF_TYPE = { server_error: 500, invalid_request_error: 400, rate_limit_error: 429 };

/** @param {any} error @param {number} [status] @returns {ErrorInfo} */
export function errorInfo(error, status = STATUS_OF_TYPE[error.type] ?? 502) {
  return { status, code: error.code ?? null, message: String(error.message ?? "") };
}

/** The state of a leg by the outcome of its call in a report. @type {Record<string, State>} */
export const OUTCOME_STATES = { failed: "failed", invalid: "failed", cancelled: "cancelled" };

/** @param {RequestError} error @returns {State} */
const stateOf = ({ code }) =>
  code === "connection_lost" ? "lost" : code === "stopped" ? "stopped" : "failed";

/**
 * Ends the response that is decided on: there is none, or it has broken.
 * @param {import("./run.js").Leg} result
 * @param {RequestError} error
 * @param {number} ms
 */
function endResult(result, error, ms) {
  result.model ||= "No response";
  Object.assign(result, { state: stateOf(error), endMs: ms, error });
}

/**
 * Fails the unfinished legs of a request, each with its own cause if the error lists causes.
 * @param {RunRequest} request
 * @param {RequestError} error
 * @param {number} ms
 */
export function applyError(request, error, ms) {
  if (request.result) endResult(request.result, error, ms);
  const isShared = request.isRace || request.result;
  if (isShared && error.code === "schema_mismatch" && error.attempts)
    return applyMismatch(request, error, error.attempts, ms);
  const state = stateOf(error);
  request.legs.forEach((leg, at) => {
    if (leg.state !== "running" && leg.state !== "streaming") return;
    const cause = error.causes?.[at];
    const shown = cause ? errorInfo(cause, cause.status) : error;
    Object.assign(leg, { state, endMs: ms, error: shown });
    if (isChecked(request) && cause?.code === "schema_mismatch") setInvalid(leg, cause);
  });
}

/**
 * Ends a race without a response that fits: each leg as its own last call did.
 * @param {RunRequest} request
 * @param {RequestError} error
 * @param {any[]} attempts of all models
 * @param {number} ms
 */
function applyMismatch(request, error, attempts, ms) {
  for (const leg of request.legs) {
    const own = callsOfLeg(leg, attempts);
    const state = own ? (OUTCOME_STATES[own.outcome] ?? "failed") : "not_started";
    const cost = own?.cost_usd ?? null;
    Object.assign(leg, { state, endMs: ms, cost, error: own?.error ? errorInfo(own.error) : null });
  }
  const last = attempts.findLast((attempt) => attempt.outcome === "invalid")?.model;
  const shown = request.legs.find((leg) => leg.model === last) ?? request.legs[0];
  if (!shown) return;
  setInvalid(shown, error);
  Object.assign(shown, { state: "failed", error: errorInfo(error, error.status) });
}
