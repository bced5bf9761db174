/**
 * The state of one run: which requests it sends, and what each model has responded so far. Pure.
 *
 * A leg is one model's response to one prompt. Times are milliseconds since the run started.
 */

import { messagesOf, requestOfLeg, requestOfResult, requestsOf } from "./chat-requests.js";
import { isChecked, setInvalid, setValid } from "./checked-calls.js";
import { applyDecision, isDecided } from "./decision.js";
import { applyError, errorInfo } from "./leg-errors.js";
import { applyReport } from "./race-report.js";

/** @typedef {import("../api/client.js").ErrorInfo} ErrorInfo */
/** @typedef {{text: string, pictures: string[]}} Prompt each picture is a data URL */
/** @typedef {{maxTokens: number | null, temperature: number | null}} Settings */
/**
 * @typedef {object} Draft
 * @property {"all" | "race" | "agree" | "best" | "merge"} mode @property {string[]} models
 * @property {string} system @property {Prompt[]} prompts
 * @property {number | null} maxTokens @property {number | null} temperature
 * @property {Record<string, Settings>} settings of single models, where they differ
 * @property {import("../ui/response-format.js").Format} [format] of the responses
 * @property {import("./decision.js").Rules} [decision] the votes, or the judge
 */
/**
 * @typedef {"running" | "streaming" | "done" | "failed" | "cancelled" | "not_started" | "stopped" | "lost"} State
 * `cancelled` is the loser of a race, `stopped` was stopped by the user, `lost` lost the connection
 */
/**
 * @typedef {object} Leg
 * @property {number} prompt its index @property {string} model @property {State} state
 * @property {number} startMs @property {number | null} firstTokenMs @property {number | null} endMs
 * @property {string} text @property {string} reasoning @property {number} chunks
 * @property {any} usage @property {number | null} cost @property {string | null} finishReason
 * @property {ErrorInfo | null} error @property {string | null} billing @property {boolean} won
 * @property {import("./checked-calls.js").Check | null} check if the response must fit a schema
 * @property {string | null} outcome the gateway's word for it, if votes or a judge decide
 * @property {string} reason why the response has no vote
 * @property {import("./decision.js").Decision | null} decision of the response that is decided on
 */
/**
 * @typedef {object} RunRequest
 * @property {any} body @property {Leg[]} legs
 * @property {boolean} isRace @property {Leg | null} [result] the response, if it is decided on
 */
/**
 * @typedef {object} Run
 * @property {number} id @property {number} at when it started, in ms since 1970
 * @property {Draft} draft @property {Leg[]} legs @property {RunRequest[]} requests
 * @property {(string | null)[]} choices the model that the user picked for each prompt
 * @property {(Leg | null)[]} results the response to each prompt, if votes or a judge decide on it
 * @property {any[][] | null} histories the messages before the prompt for each leg; `null` at first
 */

export const MAX_MODELS = 8;

/** @param {number} prompt @param {string} model @returns {Leg} */
function newLeg(prompt, model) {
  return {
    prompt,
    model,
    state: "running",
    startMs: 0,
    firstTokenMs: null,
    endMs: null,
    text: "",
    reasoning: "",
    chunks: 0,
    usage: null,
    cost: null,
    finishReason: null,
    error: null,
    billing: null,
    won: false,
    check: null,
    outcome: null,
    reason: "",
    decision: null,
  };
}

/**
 * A new run with its requests.
 * @param {Draft} draft
 * @param {number} id
 * @param {number} [at] when it starts, in ms since 1970
 * @param {any[][] | null} [histories] the messages that each leg continues
 * @returns {Run}
 */
export function newRun(draft, id, at = Date.now(), histories = null) {
  const legs = draft.prompts.flatMap((_, prompt) =>
    draft.models.map((model) => newLeg(prompt, model)),
  );
  const isShown = isDecided(draft.mode);
  const results = draft.prompts.map((_, prompt) => (isShown ? newLeg(prompt, "") : null));
  const requests = requestsOf(draft, legs, histories, results);
  const choices = draft.prompts.map(() => null);
  return { id, at, draft, legs, requests, choices, results, histories };
}

/** The legs of a request, and its response. @param {RunRequest} request */
export const allLegs = ({ legs, result }) => (result ? [...legs, result] : legs);

/**
 * Resets a leg, and returns the request that asks its model again.
 * @param {Run} run
 * @param {Leg} leg
 * @param {number} ms
 * @returns {RunRequest}
 */
export function retryLeg(run, leg, ms) {
  if (run.results.includes(leg)) {
    const request = requestOfResult(run, leg);
    for (const one of allLegs(request))
      Object.assign(one, newLeg(one.prompt, one === leg ? "" : one.model), { startMs: ms });
    return request;
  }
  Object.assign(leg, newLeg(leg.prompt, leg.model), { startMs: ms });
  return requestOfLeg(run.draft, leg, messagesOf(run, leg));
}

/**
 * Updates the legs of a request with one chunk of its response.
 * @param {RunRequest} request
 * @param {any} chunk
 * @param {number} ms
 */
export function applyChunk(request, chunk, ms) {
  if (chunk.error) return applyError(request, { ...chunk.error, ...errorInfo(chunk.error) }, ms);
  for (const choice of chunk.choices ?? []) {
    const leg = request.isRace
      ? winningLeg(request, chunk.model, ms)
      : (request.result ?? request.legs[choice.index]);
    if (!leg) continue;
    if (leg === request.result) leg.model ||= chunk.model;
    applyChoice(leg, choice, ms);
    if (isChecked(request)) applyCheck(leg, choice);
  }
  const report = chunk.fanout;
  if (report?.attempts && request.result) applyDecision(request, request.result, report);
  else if (report?.attempts) applyReport(request, report.attempts);
  const shared = request.isRace ? request.legs.find((leg) => leg.won) : request.result;
  if (chunk.usage && shared) shared.usage = chunk.usage;
}

/**
 * Returns the leg that a race's chunk belongs to. The first chunk decides the race: its leg has
 * won, and the others count as cancelled until the report at the end says more.
 * @param {RunRequest} request
 * @param {string} model
 * @param {number} ms
 */
function winningLeg(request, model, ms) {
  const known =
    request.legs.find((leg) => leg.model === model) ?? request.legs.find((leg) => leg.won);
  // A fallback responds under its own name; the report at the end says which leg it belongs to.
  const winner = known ?? request.legs[0];
  if (winner && !winner.won) {
    winner.won = true;
    for (const leg of request.legs) {
      if (leg !== winner) Object.assign(leg, { state: "cancelled", endMs: ms });
    }
  }
  return winner;
}

/** @param {Leg} leg @param {any} choice @param {number} ms */
function applyChoice(leg, choice, ms) {
  const delta = choice.error ? {} : (choice.delta ?? {}); // a failed one's refusal is its error
  const content = delta.content ?? delta.refusal ?? "";
  const reasoning = delta.reasoning ?? delta.reasoning_content ?? "";
  const toolCalls = delta.tool_calls ? JSON.stringify(delta.tool_calls) : "";
  if (content || reasoning || toolCalls) {
    leg.firstTokenMs ??= ms;
    leg.state = "streaming";
    leg.chunks += 1;
    leg.text += content || toolCalls;
    leg.reasoning += reasoning;
  }
  if (choice.usage) leg.usage = choice.usage;
  if (choice.cost_usd !== undefined) leg.cost = choice.cost_usd;
  if (choice.error)
    Object.assign(leg, {
      state: "failed",
      endMs: ms,
      finishReason: "error",
      error: errorInfo(choice.error),
    });
  else if (choice.finish_reason)
    Object.assign(leg, { state: "done", endMs: ms, finishReason: choice.finish_reason });
}

/** @param {Leg} leg @param {any} choice the last one of a checked response has its calls */
function applyCheck(leg, { error, fanout }) {
  if (error?.code === "schema_mismatch") setInvalid(leg, error);
  else if (fanout?.attempts) setValid(leg, fanout.attempts);
}

// ---- what the views read ----

/**
 * The number of tokens: the provider's count, or the number of chunks until the provider reports it.
 * @param {Leg} leg
 */
export function tokenCount(leg) {
  const reported = leg.usage?.completion_tokens;
  return { count: reported ?? leg.chunks, isExact: reported !== undefined && reported !== null };
}

/** Tokens per second since the first token. @param {Leg} leg @param {number} now */
export function tokensPerSecond(leg, now) {
  if (leg.firstTokenMs === null) return null;
  const seconds = ((leg.endMs ?? now) - leg.firstTokenMs) / 1000;
  const { count } = tokenCount(leg);
  return seconds > 0 && count > 1 ? (count - 1) / seconds : null;
}

/** @param {Leg} leg */
export const isFinished = (leg) => leg.endMs !== null || leg.state === "not_started";

/** The leg of a prompt that was complete first. @param {Run} run @param {number} prompt */
export function fastestLeg(run, prompt) {
  const done = run.legs.filter((leg) => leg.prompt === prompt && leg.state === "done");
  const duration = (/** @type {Leg} */ leg) => (leg.endMs ?? Infinity) - leg.startMs;
  return done.length
    ? done.reduce((best, leg) => (duration(leg) < duration(best) ? leg : best))
    : null;
}
