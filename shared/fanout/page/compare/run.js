/**
 * One run of prompts over models: what is asked, and what has become of each answer. Pure.
 *
 * A lane is one model's answer to one prompt. Times are milliseconds since the run began.
 */

/** @typedef {{text: string, pictures: string[]}} Prompt */
/**
 * @typedef {object} Draft
 * @property {"all" | "race"} mode @property {string[]} models
 * @property {string} system @property {Prompt[]} prompts
 * @property {number | null} maxTokens @property {number | null} temperature
 */
/**
 * @typedef {"running" | "streaming" | "done" | "failed" | "cut" | "idle" | "stopped" | "lost"} State
 */
/** @typedef {import("../api/client.js").Fault} Fault */
/**
 * @typedef {object} Lane
 * @property {number} prompt @property {string} model @property {State} state
 * @property {number} startMs @property {number | null} firstMs @property {number | null} endMs
 * @property {string} text @property {string} thought @property {number} pieces
 * @property {any} usage @property {number | null} cost @property {string | null} finish
 * @property {Fault | null} fault @property {string | null} billing @property {boolean} won
 */
/** @typedef {{body: any, lanes: Lane[], isRace: boolean}} Ask */
/**
 * @typedef {object} Run
 * @property {number} id @property {number} at when it was asked, in ms since 1970
 * @property {Draft} draft @property {Lane[]} lanes @property {Ask[]} asks
 * @property {(string | null)[]} choices the model chosen of each prompt
 */

export const MOST_MODELS = 8;

/** @param {number} prompt @param {string} model @returns {Lane} */
function newLane(prompt, model) {
  return {
    prompt,
    model,
    state: "running",
    startMs: 0,
    firstMs: null,
    endMs: null,
    text: "",
    thought: "",
    pieces: 0,
    usage: null,
    cost: null,
    finish: null,
    fault: null,
    billing: null,
    won: false,
  };
}

/**
 * A run and the requests that it takes: one for all answers, or one race for each prompt.
 * @param {Draft} draft
 * @param {number} id
 * @returns {Run}
 */
export function newRun(draft, id, at = Date.now()) {
  const lanes = draft.prompts.flatMap((_, prompt) =>
    draft.models.map((model) => newLane(prompt, model)),
  );
  const talks = draft.prompts.map((prompt) => conversation(draft.system, prompt));
  const asks =
    draft.mode === "race"
      ? talks.map((talk, prompt) => ({
          body: bodyOf(draft, talk),
          lanes: lanes.filter((lane) => lane.prompt === prompt),
          isRace: true,
        }))
      : [{ body: bodyOf(draft, talks.length === 1 ? talks[0] : talks), lanes, isRace: false }];
  return { id, at, draft, lanes, asks, choices: draft.prompts.map(() => null) };
}

/**
 * The request that asks one lane anew.
 * @param {Run} run
 * @param {Lane} lane
 * @param {number} ms
 * @returns {Ask}
 */
export function again(run, lane, ms) {
  Object.assign(lane, newLane(lane.prompt, lane.model), { startMs: ms });
  const prompt = /** @type {Prompt} */ (run.draft.prompts[lane.prompt]);
  const body = bodyOf(
    { ...run.draft, mode: "all", models: [lane.model] },
    conversation(run.draft.system, prompt),
  );
  return { body, lanes: [lane], isRace: false };
}

/** @param {string} system @param {Prompt} prompt */
function conversation(system, prompt) {
  const pictures = prompt.pictures.map((url) => ({ type: "image_url", image_url: { url } }));
  const content = pictures.length
    ? [{ type: "text", text: prompt.text }, ...pictures]
    : prompt.text;
  return [
    ...(system.trim() ? [{ role: "system", content: system }] : []),
    { role: "user", content },
  ];
}

/** @param {Draft} draft @param {any} messages */
function bodyOf(draft, messages) {
  return {
    model: draft.models,
    ...(draft.mode === "race" ? { fastest_response: true } : {}),
    ...(draft.maxTokens ? { max_tokens: draft.maxTokens } : {}),
    ...(draft.temperature === null ? {} : { temperature: draft.temperature }),
    stream: true,
    stream_options: { include_usage: true },
    messages,
  };
}

/** A chunk of an answer has come. @param {Ask} ask @param {any} chunk @param {number} ms */
export function take(ask, chunk, ms) {
  if (chunk.error) return fail(ask, faultOf(chunk.error, 502), ms);
  for (const choice of chunk.choices ?? []) {
    const lane = ask.isRace ? winner(ask, chunk.model, ms) : ask.lanes[choice.index];
    if (lane) takeChoice(lane, choice, ms);
  }
  const report = chunk.fanout;
  if (report?.attempts) takeReport(ask, report.attempts);
  if (chunk.usage && ask.isRace)
    Object.assign(ask.lanes.find((lane) => lane.won) ?? {}, { usage: chunk.usage });
}

/**
 * The one that answers; who has not by now was cut off, or had failed.
 * @param {Ask} ask
 * @param {string} model
 * @param {number} ms
 */
function winner(ask, model, ms) {
  const known = ask.lanes.find((one) => one.model === model) ?? ask.lanes.find((one) => one.won);
  const lane = known ?? ask.lanes[0]; // a fallback answers under its own name: the report tells whose
  if (lane && !lane.won) {
    lane.won = true;
    for (const other of ask.lanes) {
      if (other !== lane) Object.assign(other, { state: "cut", endMs: ms });
    }
  }
  return lane;
}

/** @param {Lane} lane @param {any} choice @param {number} ms */
function takeChoice(lane, choice, ms) {
  const delta = choice.delta ?? {};
  const said = delta.content ?? delta.refusal ?? "";
  const thought = delta.reasoning ?? delta.reasoning_content ?? "";
  const calls = delta.tool_calls ? JSON.stringify(delta.tool_calls) : "";
  if (said || thought || calls) {
    lane.firstMs ??= ms;
    lane.state = "streaming";
    lane.pieces += 1;
    lane.text += said || calls;
    lane.thought += thought;
  }
  if (choice.usage) lane.usage = choice.usage;
  if (choice.cost_usd !== undefined) lane.cost = choice.cost_usd;
  if (choice.error)
    Object.assign(lane, {
      state: "failed",
      endMs: ms,
      finish: "error",
      fault: faultOf(choice.error, 502),
    });
  else if (choice.finish_reason)
    Object.assign(lane, { state: "done", endMs: ms, finish: choice.finish_reason });
}

/**
 * What the gateway tells of a race once it is over; its clock began `late` ms after ours.
 * @param {Ask} ask
 * @param {any[]} attempts
 */
function takeReport(ask, attempts) {
  const best = ask.lanes.find((lane) => lane.won);
  const told = attempts.find((attempt) => attempt.outcome === "won")?.first_token_ms;
  const late =
    best?.firstMs && typeof told === "number" ? Math.max(0, best.firstMs - best.startMs - told) : 0;
  attempts.forEach((attempt, at) => {
    const lane = ask.lanes[at];
    if (!lane) return;
    lane.usage = attempt.usage ?? lane.usage;
    lane.cost = attempt.cost_usd;
    lane.billing = attempt.billing;
    if (attempt.outcome === "won") return crown(ask, lane);
    lane.firstMs =
      attempt.first_token_ms === null ? null : lane.startMs + late + attempt.first_token_ms;
    if (attempt.duration_ms !== null) lane.endMs = lane.startMs + late + attempt.duration_ms;
    lane.state =
      attempt.outcome === "failed" ? "failed" : attempt.outcome === "cancelled" ? "cut" : "idle";
    if (attempt.error) lane.fault = faultOf(attempt.error, 502);
  });
}

/**
 * The lane that has won, whichever was taken for the winner.
 * @param {Ask} ask
 * @param {Lane} lane
 */
function crown(ask, lane) {
  const shown = ask.lanes.find((one) => one.won);
  if (!shown || shown === lane) return;
  const { text, thought, pieces, firstMs, endMs, state, finish } = shown;
  Object.assign(lane, { text, thought, pieces, firstMs, endMs, state, finish, won: true });
  Object.assign(shown, {
    text: "",
    thought: "",
    pieces: 0,
    firstMs: null,
    finish: null,
    won: false,
  });
}

/**
 * The request as a whole has failed: of several, each has its own cause.
 * @param {Ask} ask
 * @param {Fault & {causes?: any[]}} fault
 * @param {number} ms
 */
export function fail(ask, fault, ms) {
  /** @type {State} */
  const state =
    fault.code === "connection_lost" ? "lost" : fault.code === "stopped" ? "stopped" : "failed";
  ask.lanes.forEach((lane, at) => {
    if (lane.state !== "running" && lane.state !== "streaming") return;
    const own = fault.causes?.[at];
    Object.assign(lane, { state, endMs: ms, fault: own ? faultOf(own, own.status) : fault });
  });
}

/** @param {any} error @param {number} status @returns {Fault} */
function faultOf(error, status) {
  return { status, code: error.code ?? null, message: String(error.message ?? "") };
}

// ---- what is told of a lane ----

/**
 * Tokens of an answer: the provider's count, or until it tells, a piece as one.
 * @param {Lane} lane
 */
export function tokens(lane) {
  const told = lane.usage?.completion_tokens;
  return { count: told ?? lane.pieces, isExact: told !== undefined && told !== null };
}

/** Tokens a second from the first on. @param {Lane} lane @param {number} now */
export function tokenRate(lane, now) {
  if (lane.firstMs === null) return null;
  const seconds = ((lane.endMs ?? now) - lane.firstMs) / 1000;
  const { count } = tokens(lane);
  return seconds > 0 && count > 1 ? (count - 1) / seconds : null;
}

/** @param {Lane} lane */
export const isOver = (lane) => lane.endMs !== null || lane.state === "idle";

/** The lane of a prompt that was whole first. @param {Run} run @param {number} prompt */
export function fastest(run, prompt) {
  const done = run.lanes.filter((lane) => lane.prompt === prompt && lane.state === "done");
  const least = (/** @type {Lane} */ lane) => (lane.endMs ?? Infinity) - lane.startMs;
  return done.length
    ? done.reduce((best, lane) => (least(lane) < least(best) ? lane : best))
    : null;
}
