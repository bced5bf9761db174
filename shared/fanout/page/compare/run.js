/**
 * The state of one run: which requests it sends, and what each model has responded so far. Pure.
 *
 * A leg is one model's response to one prompt. Times are milliseconds since the run started.
 */

import { messagesOf, requestOfLeg, requestsOf } from "./chat-requests.js";

/** @typedef {import("../api/client.js").ErrorInfo} ErrorInfo */
/** @typedef {{text: string, pictures: string[]}} Prompt each picture is a data URL */
/** @typedef {{maxTokens: number | null, temperature: number | null}} Settings */
/**
 * @typedef {object} Draft
 * @property {"all" | "race"} mode @property {string[]} models
 * @property {string} system @property {Prompt[]} prompts
 * @property {number | null} maxTokens @property {number | null} temperature
 * @property {Record<string, Settings>} settings of single models, where they differ
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
 */
/** @typedef {{body: any, legs: Leg[], isRace: boolean}} RunRequest */
/**
 * @typedef {object} Run
 * @property {number} id @property {number} at when it started, in ms since 1970
 * @property {Draft} draft @property {Leg[]} legs @property {RunRequest[]} requests
 * @property {(string | null)[]} choices the model that the user picked for each prompt
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
  const requests = requestsOf(draft, legs, histories);
  return { id, at, draft, legs, requests, choices: draft.prompts.map(() => null), histories };
}

/**
 * Resets a leg, and returns the request that asks its model again.
 * @param {Run} run
 * @param {Leg} leg
 * @param {number} ms
 * @returns {RunRequest}
 */
export function retryLeg(run, leg, ms) {
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
  if (chunk.error) return applyError(request, errorInfo(chunk.error), ms);
  for (const choice of chunk.choices ?? []) {
    const leg = request.isRace ? winningLeg(request, chunk.model, ms) : request.legs[choice.index];
    if (leg) applyChoice(leg, choice, ms);
  }
  const report = chunk.fanout;
  if (report?.attempts) applyReport(request, report.attempts);
  if (chunk.usage && request.isRace)
    Object.assign(request.legs.find((leg) => leg.won) ?? {}, { usage: chunk.usage });
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

/**
 * Updates the legs of a race with the gateway's report, which arrives at the end. The gateway
 * counts time from when it received the request: `delay` ms after the page sent it.
 * @param {RunRequest} request
 * @param {any[]} attempts one per leg, in order
 */
function applyReport(request, attempts) {
  const shown = request.legs.find((leg) => leg.won);
  const reported = attempts.find((attempt) => attempt.outcome === "won")?.first_token_ms;
  const delay =
    shown?.firstTokenMs && typeof reported === "number"
      ? Math.max(0, shown.firstTokenMs - shown.startMs - reported)
      : 0;
  attempts.forEach((attempt, at) => {
    const leg = request.legs[at];
    if (!leg) return;
    leg.usage = attempt.usage ?? leg.usage;
    leg.cost = attempt.cost_usd;
    leg.billing = attempt.billing;
    if (attempt.outcome === "won") return moveResponse(request, leg);
    const start = leg.startMs + delay;
    leg.firstTokenMs = attempt.first_token_ms === null ? null : start + attempt.first_token_ms;
    if (attempt.duration_ms !== null) leg.endMs = start + attempt.duration_ms;
    leg.state = OUTCOME_STATES[attempt.outcome] ?? "not_started";
    if (attempt.error) leg.error = errorInfo(attempt.error);
  });
}

/** @type {Record<string, State>} */
const OUTCOME_STATES = { failed: "failed", cancelled: "cancelled" };

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

/**
 * Fails the unfinished legs of a request, each with its own cause if the error lists causes.
 * @param {RunRequest} request
 * @param {ErrorInfo & {causes?: any[]}} error
 * @param {number} ms
 */
export function applyError(request, error, ms) {
  /** @type {State} */
  const state =
    error.code === "connection_lost" ? "lost" : error.code === "stopped" ? "stopped" : "failed";
  request.legs.forEach((leg, at) => {
    if (leg.state !== "running" && leg.state !== "streaming") return;
    const cause = error.causes?.[at];
    Object.assign(leg, { state, endMs: ms, error: cause ? errorInfo(cause, cause.status) : error });
  });
}

/** The HTTP status of an error in a stream, which has only a type. @type {Record<string, number>} */
const STATUS_OF_TYPE = { server_error: 500, invalid_request_error: 400, rate_limit_error: 429 };

/** @param {any} error @param {number} [status] @returns {ErrorInfo} */
function errorInfo(error, status = STATUS_OF_TYPE[error.type] ?? 502) {
  return { status, code: error.code ?? null, message: String(error.message ?? "") };
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
