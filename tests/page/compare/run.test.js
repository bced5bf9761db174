import assert from "node:assert/strict";
import test from "node:test";

import { applyError } from "../../../shared/fanout/page/compare/leg-errors.js";
import {
  applyChunk,
  fastestLeg,
  newRun,
  retryLeg,
  tokenCount,
  tokensPerSecond,
} from "../../../shared/fanout/page/compare/run.js";

const draft = (more = {}) => ({
  mode: "all",
  models: ["a", "b"],
  system: "",
  prompts: [{ text: "Hi", pictures: [] }],
  maxTokens: null,
  temperature: null,
  settings: {},
  ...more,
});
const delta = (index, content, model = "a") => ({
  model,
  choices: [{ index, delta: { content } }],
});
const USAGE = { prompt_tokens: 3, completion_tokens: 11, total_tokens: 14 };

test("one prompt to several models is one streamed request for all responses", () => {
  const [request, ...others] = newRun(draft(), 1).requests;
  assert.equal(others.length, 0);
  assert.deepEqual(request.body, {
    model: ["a", "b"],
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: "user", content: "Hi" }],
  });
});

test("a system message, pictures and parameters are sent with the prompt", () => {
  const prompts = [{ text: "What is it?", pictures: ["data:image/png;base64,AA=="] }];
  const { body } = newRun(draft({ system: "Be brief.", prompts, maxTokens: 9, temperature: 0 }), 1)
    .requests[0];
  assert.equal(body.max_tokens, 9);
  assert.equal(body.temperature, 0);
  assert.deepEqual(body.messages, [
    { role: "system", content: "Be brief." },
    {
      role: "user",
      content: [
        { type: "text", text: "What is it?" },
        { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } },
      ],
    },
  ]);
});

test("several prompts make a grid whose responses are identified by index", () => {
  const run = newRun(
    draft({
      prompts: [
        { text: "1", pictures: [] },
        { text: "2", pictures: [] },
      ],
    }),
    1,
  );
  assert.equal(run.requests[0].body.messages.length, 2);
  applyChunk(run.requests[0], delta(3, "second of b", "b"), 5);
  assert.deepEqual(
    run.legs.map((leg) => [leg.prompt, leg.model, leg.text]),
    [
      [0, "a", ""],
      [0, "b", ""],
      [1, "a", ""],
      [1, "b", "second of b"],
    ],
  );
});

test("a response's times, tokens, cost and end are updated with each chunk", () => {
  const run = newRun(draft(), 1);
  const [request] = run.requests;
  const [leg] = run.legs;
  applyChunk(request, delta(0, "Hel"), 100);
  applyChunk(request, delta(0, "lo"), 200);
  assert.deepEqual([leg.state, leg.firstTokenMs, leg.text], ["streaming", 100, "Hello"]);
  assert.deepEqual(tokenCount(leg), { count: 2, isExact: false });
  applyChunk(
    request,
    {
      model: "a",
      choices: [{ index: 0, delta: {}, finish_reason: "stop", usage: USAGE, cost_usd: 0.5 }],
    },
    1100,
  );
  assert.deepEqual([leg.state, leg.endMs, leg.finishReason, leg.cost], ["done", 1100, "stop", 0.5]);
  assert.deepEqual(tokenCount(leg), { count: 11, isExact: true });
  assert.equal(tokensPerSecond(leg, 9999), 10);
  assert.equal(fastestLeg(run, 0), leg);
});

test("a model that fails does not affect the others", () => {
  const run = newRun(draft(), 1);
  const error = { message: "no", code: "provider_timeout" };
  applyChunk(
    run.requests[0],
    {
      model: "b",
      choices: [{ index: 1, delta: { refusal: "no" }, finish_reason: "stop", error }],
    },
    7,
  );
  assert.deepEqual(
    run.legs.map((leg) => leg.state),
    ["running", "failed"],
  );
  assert.equal(run.legs[1].error.code, "provider_timeout");
  assert.equal(run.legs[1].text, "");
});

test("an error in a stream has the status of its type", () => {
  for (const [type, status] of [
    ["server_error", 500],
    ["invalid_request_error", 400],
    ["rate_limit_error", 429],
    ["api_error", 502],
    [undefined, 502],
  ]) {
    const run = newRun(draft({ models: ["a"] }), 1);
    applyChunk(run.requests[0], { error: { message: "no", code: null, type } }, 7);
    assert.equal(run.legs[0].error.status, status);
  }
});

test("when all models fail, each leg has its own cause", () => {
  const run = newRun(draft(), 1);
  const causes = [
    { status: 429, code: "rate_limit_exceeded", message: "slow" },
    { status: 502, code: "x", message: "y" },
  ];
  applyError(run.requests[0], { status: 502, code: "all_failed", message: "all", causes }, 9);
  assert.deepEqual(
    run.legs.map((leg) => [leg.state, leg.error.status]),
    [
      ["failed", 429],
      ["failed", 502],
    ],
  );
});

test("a lost connection ends the unfinished legs and keeps their text", () => {
  const run = newRun(draft(), 1);
  const [request] = run.requests;
  applyChunk(request, delta(0, "so far"), 1);
  applyChunk(request, { model: "b", choices: [{ index: 1, delta: {}, finish_reason: "stop" }] }, 2);
  applyError(request, { status: 0, code: "connection_lost", message: "" }, 3);
  assert.deepEqual(
    run.legs.map((leg) => [leg.state, leg.text]),
    [
      ["lost", "so far"],
      ["done", ""],
    ],
  );
});

test("a race's first chunk cancels the others, and the report adds their costs, on the page's clock", () => {
  const run = newRun(draft({ mode: "race", models: ["a", "b", "c"] }), 1);
  const [request] = run.requests;
  assert.equal(request.body.fastest_response, true);
  applyChunk(request, delta(0, "b!", "b"), 50);
  assert.deepEqual(
    run.legs.map((leg) => [leg.state, leg.won]),
    [
      ["cancelled", false],
      ["streaming", true],
      ["cancelled", false],
    ],
  );
  const attempts = [
    {
      model: "a",
      outcome: "cancelled",
      first_token_ms: null,
      duration_ms: 48,
      error: null,
      usage: null,
      cost_usd: 0.1,
      billing: "continues",
    },
    {
      model: "b",
      outcome: "won",
      first_token_ms: 40,
      duration_ms: 90,
      error: null,
      usage: USAGE,
      cost_usd: 0.2,
      billing: null,
    },
    {
      model: "c",
      outcome: "failed",
      first_token_ms: null,
      duration_ms: 12,
      error: { code: "c", message: "m" },
      usage: null,
      cost_usd: null,
      billing: null,
    },
  ];
  applyChunk(
    request,
    { model: "b", choices: [], usage: USAGE, fanout: { mode: "race", attempts } },
    95,
  );
  const [a, b, c] = run.legs;
  assert.deepEqual([a.state, a.endMs, a.cost, a.billing], ["cancelled", 58, 0.1, "continues"]);
  assert.deepEqual([b.text, b.cost, b.usage, b.firstTokenMs], ["b!", 0.2, USAGE, 50]);
  assert.deepEqual([c.state, c.endMs, c.error.code], ["failed", 22, "c"]);
});

test("if a fallback responds under its own name, the report says whose response it is", () => {
  const run = newRun(draft({ mode: "race" }), 1);
  const [request] = run.requests;
  applyChunk(request, delta(0, "spare", "other"), 5);
  const attempt = (outcome) => ({
    outcome,
    first_token_ms: 1,
    duration_ms: 2,
    error: null,
    usage: null,
    cost_usd: null,
    billing: null,
  });
  applyChunk(
    request,
    { model: "other", choices: [], fanout: { attempts: [attempt("cancelled"), attempt("won")] } },
    6,
  );
  assert.deepEqual(
    run.legs.map((leg) => [leg.won, leg.text]),
    [
      [false, ""],
      [true, "spare"],
    ],
  );
});

test("a fallback that won is its model's response, and the others keep their reports", () => {
  const run = newRun(draft({ mode: "race" }), 1);
  const [request] = run.requests;
  applyChunk(request, delta(0, "spare", "other"), 5);
  const attempt = (outcome, cost, more = {}) => ({
    outcome,
    first_token_ms: 1,
    duration_ms: 2,
    error: null,
    usage: null,
    cost_usd: cost,
    billing: null,
    ...more,
  });
  const attempts = [
    attempt("failed", 0.5, { error: { message: "no" } }),
    attempt("won", 1, { fallback_of: "a" }),
    attempt("cancelled", 4),
  ];
  applyChunk(request, { model: "other", choices: [], fanout: { attempts } }, 6);
  assert.deepEqual(
    run.legs.map((leg) => [leg.won, leg.text, leg.cost]),
    [
      [true, "spare", 1.5],
      [false, "", 4],
    ],
  );
});

test("races over several prompts are one request each", () => {
  const run = newRun(
    draft({
      mode: "race",
      prompts: [
        { text: "1", pictures: [] },
        { text: "2", pictures: [] },
      ],
    }),
    1,
  );
  assert.deepEqual(
    run.requests.map((request) => request.legs.map((leg) => leg.prompt)),
    [
      [0, 0],
      [1, 1],
    ],
  );
});

test("a retried leg starts over, at the time of the retry", () => {
  const run = newRun(draft({ mode: "race" }), 1);
  const [, leg] = run.legs;
  applyError(run.requests[0], { status: 500, code: null, message: "" }, 5);
  const request = retryLeg(run, leg, 700);
  assert.deepEqual(request.body.model, ["b"]);
  assert.equal(request.body.fastest_response, undefined);
  assert.deepEqual([leg.state, leg.startMs, leg.error], ["running", 700, null]);
});
