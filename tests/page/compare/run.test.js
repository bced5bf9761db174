import assert from "node:assert/strict";
import test from "node:test";

import {
  again,
  fail,
  fastest,
  newRun,
  take,
  tokenRate,
  tokens,
} from "../../../shared/fanout/page/compare/run.js";

const draft = (more = {}) => ({
  mode: "all",
  models: ["a", "b"],
  system: "",
  prompts: [{ text: "Hi", pictures: [] }],
  maxTokens: null,
  temperature: null,
  ...more,
});
const delta = (index, content, model = "a") => ({
  model,
  choices: [{ index, delta: { content } }],
});
const USAGE = { prompt_tokens: 3, completion_tokens: 11, total_tokens: 14 };

test("one prompt to several models is one streamed request for all answers", () => {
  const [ask, ...others] = newRun(draft(), 1).asks;
  assert.equal(others.length, 0);
  assert.deepEqual(ask.body, {
    model: ["a", "b"],
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: "user", content: "Hi" }],
  });
});

test("a system message, pictures and limits go with the prompt", () => {
  const prompts = [{ text: "What is it?", pictures: ["data:image/png;base64,AA=="] }];
  const { body } = newRun(draft({ system: "Be brief.", prompts, maxTokens: 9, temperature: 0 }), 1)
    .asks[0];
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

test("several prompts are a grid whose answers are told apart by their index", () => {
  const run = newRun(
    draft({
      prompts: [
        { text: "1", pictures: [] },
        { text: "2", pictures: [] },
      ],
    }),
    1,
  );
  assert.equal(run.asks[0].body.messages.length, 2);
  take(run.asks[0], delta(3, "second of b", "b"), 5);
  assert.deepEqual(
    run.lanes.map((lane) => [lane.prompt, lane.model, lane.text]),
    [
      [0, "a", ""],
      [0, "b", ""],
      [1, "a", ""],
      [1, "b", "second of b"],
    ],
  );
});

test("an answer's times, tokens, cost and end are told as they come", () => {
  const run = newRun(draft(), 1);
  const [ask] = run.asks;
  const [lane] = run.lanes;
  take(ask, delta(0, "Hel"), 100);
  take(ask, delta(0, "lo"), 200);
  assert.deepEqual([lane.state, lane.firstMs, lane.text], ["streaming", 100, "Hello"]);
  assert.deepEqual(tokens(lane), { count: 2, isExact: false });
  take(
    ask,
    {
      model: "a",
      choices: [{ index: 0, delta: {}, finish_reason: "stop", usage: USAGE, cost_usd: 0.5 }],
    },
    1100,
  );
  assert.deepEqual([lane.state, lane.endMs, lane.finish, lane.cost], ["done", 1100, "stop", 0.5]);
  assert.deepEqual(tokens(lane), { count: 11, isExact: true });
  assert.equal(tokenRate(lane, 9999), 10);
  assert.equal(fastest(run, 0), lane);
});

test("one that fails leaves the others alone", () => {
  const run = newRun(draft(), 1);
  const error = { message: "no", code: "provider_timeout" };
  take(
    run.asks[0],
    { model: "b", choices: [{ index: 1, delta: {}, finish_reason: "error", error }] },
    7,
  );
  assert.deepEqual(
    run.lanes.map((lane) => lane.state),
    ["running", "failed"],
  );
  assert.equal(run.lanes[1].fault.code, "provider_timeout");
});

test("when all fail each lane has its own cause", () => {
  const run = newRun(draft(), 1);
  const causes = [
    { status: 429, code: "rate_limit_exceeded", message: "slow" },
    { status: 502, code: "x", message: "y" },
  ];
  fail(run.asks[0], { status: 502, code: "all_failed", message: "all", causes }, 9);
  assert.deepEqual(
    run.lanes.map((lane) => [lane.state, lane.fault.status]),
    [
      ["failed", 429],
      ["failed", 502],
    ],
  );
});

test("a lost connection ends what was under way and keeps what had come", () => {
  const run = newRun(draft(), 1);
  const [ask] = run.asks;
  take(ask, delta(0, "so far"), 1);
  take(ask, { model: "b", choices: [{ index: 1, delta: {}, finish_reason: "stop" }] }, 2);
  fail(ask, { status: 0, code: "connection_lost", message: "" }, 3);
  assert.deepEqual(
    run.lanes.map((lane) => [lane.state, lane.text]),
    [
      ["lost", "so far"],
      ["done", ""],
    ],
  );
});

test("a race's first word stops the others, and the report tells their costs, on our clock", () => {
  const run = newRun(draft({ mode: "race", models: ["a", "b", "c"] }), 1);
  const [ask] = run.asks;
  assert.equal(ask.body.fastest_response, true);
  take(ask, delta(0, "b!", "b"), 50);
  assert.deepEqual(
    run.lanes.map((lane) => [lane.state, lane.won]),
    [
      ["cut", false],
      ["streaming", true],
      ["cut", false],
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
  take(ask, { model: "b", choices: [], usage: USAGE, fanout: { mode: "race", attempts } }, 95);
  const [a, b, c] = run.lanes;
  assert.deepEqual([a.state, a.endMs, a.cost, a.billing], ["cut", 58, 0.1, "continues"]);
  assert.deepEqual([b.text, b.cost, b.usage, b.firstMs], ["b!", 0.2, USAGE, 50]);
  assert.deepEqual([c.state, c.endMs, c.fault.code], ["failed", 22, "c"]);
});

test("where a fallback answers under its own name the report says whose answer it is", () => {
  const run = newRun(draft({ mode: "race" }), 1);
  const [ask] = run.asks;
  take(ask, delta(0, "spare", "other"), 5);
  const attempt = (outcome) => ({
    outcome,
    first_token_ms: 1,
    duration_ms: 2,
    error: null,
    usage: null,
    cost_usd: null,
    billing: null,
  });
  take(
    ask,
    { model: "other", choices: [], fanout: { attempts: [attempt("cancelled"), attempt("won")] } },
    6,
  );
  assert.deepEqual(
    run.lanes.map((lane) => [lane.won, lane.text]),
    [
      [false, ""],
      [true, "spare"],
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
    run.asks.map((ask) => ask.lanes.map((lane) => lane.prompt)),
    [
      [0, 0],
      [1, 1],
    ],
  );
});

test("a lane that is asked again begins anew, at its time", () => {
  const run = newRun(draft({ mode: "race" }), 1);
  const [, lane] = run.lanes;
  fail(run.asks[0], { status: 500, code: null, message: "" }, 5);
  const ask = again(run, lane, 700);
  assert.deepEqual(ask.body.model, ["b"]);
  assert.equal(ask.body.fastest_response, undefined);
  assert.deepEqual([lane.state, lane.startMs, lane.fault], ["running", 700, null]);
});
