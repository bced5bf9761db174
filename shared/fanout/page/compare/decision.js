/** How a run's response is decided on, by votes or by a judge: what is asked for, and the report. Pure. */

import { callsOfLeg, isChecked, setValid } from "./checked-calls.js";
import { errorInfo, OUTCOME_STATES } from "./leg-errors.js";
import { NOT_STARTED } from "./race-report.js";

/** @typedef {import("./run.js").Draft} Draft */
/** @typedef {import("./run.js").Leg} Leg */
/** @typedef {import("./run.js").RunRequest} RunRequest */
/** @typedef {{k: number | null, judge: string, criteria: string}} Rules what the form holds */
/** @typedef {{agree: any, judge: any}} Decision of the gateway's report; each may be `null` */

/** @type {Rules} */
export const NO_RULES = { k: null, judge: "", criteria: "" };
export const DEFAULT_VOTES = 2;

/** The outcomes of responses that are complete. */
const COMPLETE = ["won", "agreed", "dissented", "no_vote", "lost", "merged"];

/** Whether votes or a judge decide on the response. @param {Draft["mode"]} mode */
export const isDecided = (mode) => mode !== "all" && mode !== "race";

/** The `fanout` fields of a request. @param {Draft} draft @returns {Record<string, any>} */
export function decisionFields({ mode, decision }) {
  if (!isDecided(mode)) return {};
  const { k, judge, criteria } = decision ?? NO_RULES;
  if (mode === "agree") return { mode, k: k ?? DEFAULT_VOTES };
  return { mode, judge: judge.trim(), ...(criteria.trim() ? { criteria } : {}) };
}

/** Returns why the responses cannot be decided on, or "". @param {Draft} draft */
export function decisionProblem({ mode, models, decision, format }) {
  if (!isDecided(mode)) return "";
  const { k, judge } = decision ?? NO_RULES;
  if (models.length < 2) return "Pick at least two models.";
  if (mode === "agree") {
    const votes = k ?? DEFAULT_VOTES;
    return votes >= 2 && votes <= models.length ? "" : `Votes must be from 2 to ${models.length}.`;
  }
  if (!judge.trim()) return "Name a judge.";
  if (mode === "merge" && format?.schema.trim()) return "A merged response is not checked.";
  return "";
}

/**
 * Updates the legs of a request, and its response, with the report.
 * @param {RunRequest} request @param {Leg} result @param {any} report
 */
export function applyDecision(request, result, report) {
  const own = report.attempts.filter((/** @type {any} */ one) => one.outcome !== "judged");
  request.legs.forEach((leg, at) => {
    const found = isChecked(request) ? callsOfLeg(leg, own) : report.attempts[at];
    applyAttempt(leg, found ?? NOT_STARTED);
  });
  result.decision = { agree: report.agree ?? null, judge: report.judge ?? null };
  result.cost = report.cost_usd ?? null;
  if (isChecked(request) && report.agree?.decided !== false) setValid(result, report.attempts);
}

/** @param {Leg} leg @param {any} attempt */
function applyAttempt(leg, attempt) {
  const { outcome, error } = attempt;
  const isComplete = COMPLETE.includes(outcome);
  leg.outcome = outcome;
  leg.won = outcome === "won";
  leg.state = isComplete ? "done" : (OUTCOME_STATES[outcome] ?? "not_started");
  leg.usage = attempt.usage ?? leg.usage;
  leg.cost = attempt.cost_usd;
  leg.billing = attempt.billing;
  const first = attempt.first_token_ms;
  leg.firstTokenMs = first === null ? null : leg.startMs + first;
  leg.endMs = leg.startMs + Math.max(attempt.duration_ms ?? 0, first ?? 0); // of a later start
  if (isComplete) leg.reason = String(error?.message ?? "");
  else if (error) leg.error = errorInfo(error);
}

/** Whether a response was found that can be continued. @param {Leg} result */
export const hasResponse = (result) =>
  result.state === "done" && Boolean(result.text) && result.decision?.agree?.decided !== false;

/** A vote's answer as text. @param {any} value */
export const answerText = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** The decision in one sentence. @param {Leg} result */
export function decisionTitle({ decision, model }) {
  if (!decision) return "";
  const { agree, judge } = decision;
  if (agree && !agree.decided) return `Undecided: no answer has ${agree.k} votes.`;
  if (agree) {
    const { votes } = winningVote(agree, model);
    return `The models agree, with ${votes} votes.`;
  }
  if (!judge) return "";
  if (judge.outcome === "judged") return `The judge ${judge.model} prefers ${model}.`;
  if (judge.outcome === "merged") return `The judge ${judge.model} has merged the responses.`;
  if (judge.outcome === "only_response") return `Nothing to judge: only ${model} has responded.`;
  if (judge.outcome === "equal_responses") return "Nothing to judge: the responses are equal.";
  return `The judge ${judge.model} has failed; this is the first response.`;
}

/** @param {any} agree @param {string} model of the response */
const winningVote = ({ votes }, model) =>
  votes.find((/** @type {any} */ one) => one.models.includes(model)) ?? votes[0];
