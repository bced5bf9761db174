/** What the gateway's report, which arrives at the end of a race, says of its legs. Pure. */

import { callsOfLeg, costOf, isChecked, setValid } from "./checked-calls.js";
import { errorInfo, OUTCOME_STATES } from "./leg-errors.js";

/** @typedef {import("./run.js").Leg} Leg */
/** @typedef {import("./run.js").RunRequest} RunRequest */

/** A model that was not called. */
export const NOT_STARTED = {
  outcome: "not_started",
  first_token_ms: null,
  duration_ms: null,
  error: null,
  usage: null,
  cost_usd: null,
  billing: null,
};

/**
 * Updates the legs of a race. The gateway counts time from when it received the request: some
 * milliseconds after the page sent it.
 * @param {RunRequest} request
 * @param {any[]} attempts one per leg, in order, each with its fallbacks after it; in a checked race
 * one per call
 */
export function applyReport(request, attempts) {
  const shown = request.legs.find((leg) => leg.won);
  const isOfCalls = isChecked(request);
  const reports = isOfCalls ? reportsOfLegs(request, attempts) : withFallbacks(attempts);
  const delay = isOfCalls ? 0 : delayOf(shown, attempts); // a checked response arrives when complete
  reports.forEach((report, at) => {
    const leg = request.legs[at];
    if (!leg) return;
    leg.usage = report.usage ?? leg.usage;
    leg.cost = report.cost_usd;
    leg.billing = report.billing;
    if (report.outcome === "won") return moveResponse(request, leg);
    const start = leg.startMs + delay;
    leg.firstTokenMs = report.first_token_ms === null ? null : start + report.first_token_ms;
    if (report.duration_ms !== null) leg.endMs = start + report.duration_ms;
    leg.state = OUTCOME_STATES[report.outcome] ?? "not_started";
    if (report.error) leg.error = errorInfo(report.error);
  });
  const winner = request.legs.find((leg) => leg.won);
  if (isOfCalls && winner) setValid(winner, attempts);
}

/** One report per leg: that of the last of its fallbacks that was called. @param {any[]} attempts */
function withFallbacks(attempts) {
  /** @type {any[][]} */
  const legs = [];
  for (const attempt of attempts) {
    if (attempt.fallback_of) legs.at(-1)?.push(attempt);
    else legs.push([attempt]);
  }
  return legs.map((own) => ({ ...own.at(-1), cost_usd: costOf(own) }));
}

/** @param {Leg | undefined} shown @param {any[]} attempts */
function delayOf(shown, attempts) {
  const reported = attempts.find((attempt) => attempt.outcome === "won")?.first_token_ms;
  return shown?.firstTokenMs && typeof reported === "number"
    ? Math.max(0, shown.firstTokenMs - shown.startMs - reported)
    : 0;
}

/**
 * One report per leg of a checked race. If a model has responded that is no leg, because no other
 * response fits, its response stays where it is shown.
 * @param {RunRequest} request @param {any[]} attempts
 */
function reportsOfLegs(request, attempts) {
  const reports = request.legs.map((leg) => callsOfLeg(leg, attempts) ?? NOT_STARTED);
  if (reports.some((report) => report.outcome === "won")) return reports;
  return reports.map((report, at) =>
    request.legs[at]?.won ? { ...report, outcome: "won" } : report,
  );
}

/**
 * Moves the response to the leg that won, if another leg was shown as the winner.
 * @param {RunRequest} request
 * @param {Leg} winner
 */
function moveResponse(request, winner) {
  const shown = request.legs.find((leg) => leg.won);
  if (!shown || shown === winner) return;
  const { text, reasoning, chunks, firstTokenMs, endMs, state, finishReason } = shown;
  Object.assign(winner, { text, reasoning, chunks, firstTokenMs, endMs, state, finishReason });
  winner.won = true;
  Object.assign(shown, {
    text: "",
    reasoning: "",
    chunks: 0,
    firstTokenMs: null,
    finishReason: null,
    won: false,
  });
}
