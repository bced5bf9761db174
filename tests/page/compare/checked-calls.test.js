import assert from "node:assert/strict";
import test from "node:test";

import { stateLabel } from "../../../shared/fanout/page/compare/labels.js";
import { applyError } from "../../../shared/fanout/page/compare/leg-errors.js";
import { applyChunk, newRun, retryLeg } from "../../../shared/fanout/page/compare/run.js";
import { jsonResults, pythonSnippet } from "../../../shared/fanout/page/compare/snippets.js";

const draft = (more = {}) => ({
  mode: "all",
  models: ["a", "b"],
  system: "",
  prompts: [{ text: "Hi", pictures: [] }],
  maxTokens: null,
  temperature: null,
  settings: {},
  format: { schema: '{"type": "object"}', attempts: 2, escalate: ["d"] },
  ...more,
});
const call = (model, outcome, more = {}) => ({
  model,
  outcome,
  first_token_ms: null,
  duration_ms: 10,
  error: outcome === "invalid" ? { code: "schema_mismatch", message: `${FAULT} no label` } : null,
  usage: { completion_tokens: 3 },
  cost_usd: 0.25,
  billing: null,
  ...more,
});
const FAULT = "`openai/a`: the response does not fit the schema:";
const mismatch = (attempts) => ({
  code: "schema_mismatch",
  message: "`d`: the response does not fit the schema: no label",
  text: '{"lab',
  reason: "no label",
  attempts,
});
const outcomes = (leg) => leg.check.calls.map(({ model, outcome }) => `${model} ${outcome}`);

test("the last chunk of a response says whether it fits, and which calls were made", () => {
  const run = newRun(draft(), 1);
  const [request] = run.requests;
  assert.deepEqual(request.body.fanout, { check: true, attempts: 2, escalate: ["d"] });
  const end = (index, more) => ({
    choices: [{ index, delta: {}, finish_reason: "stop", ...more }],
  });
  applyChunk(request, { choices: [{ index: 0, delta: { content: "{}" } }] }, 30);
  const attempts = [call("a", "invalid"), call("a", "invalid"), call("d", "won")];
  applyChunk(request, end(0, { fanout: { attempts } }), 31);
  const failed = [call("b", "invalid"), call("d", "invalid"), call("x", "not_started")];
  applyChunk(request, end(1, { error: mismatch(failed) }), 32);
  const [a, b] = run.legs;
  assert.deepEqual([a.state, a.check.isValid, a.check.model], ["done", true, "d"]);
  assert.deepEqual(outcomes(a), ["a invalid", "a invalid", "d won"]);
  assert.deepEqual(a.check.calls[0], {
    model: "a",
    outcome: "invalid",
    durationMs: 10,
    tokens: 3,
    cost: 0.25,
    reason: "no label",
  });
  assert.deepEqual([b.state, b.check.isValid, b.check.reason], ["failed", false, "no label"]);
  assert.deepEqual([b.text, b.error.code], ['{"lab', "schema_mismatch"]);
  assert.deepEqual(outcomes(b), ["b invalid", "d invalid"]);
  assert.deepEqual(run.legs.map(stateLabel), ["valid", "invalid"]);
  const { answers } = JSON.parse(jsonResults(run));
  assert.equal(answers[0].check.valid, true);
  assert.equal(answers[1].check.reason, "no label");
  assert.equal(answers[1].check.calls[1].model, "d");
  const again = retryLeg(run, b, 50);
  assert.deepEqual([b.check, b.text, again.body.fanout.check], [null, "", true]);
});

test("if no model's response fits, each leg has its own reason, in a stream too", () => {
  const causes = [mismatch([call("a", "invalid")]), { status: 500, code: "x", message: "no" }];
  for (const apply of [
    (request) => applyError(request, { status: 502, code: "all_failed", message: "", causes }, 9),
    (request) => applyChunk(request, { error: { code: "all_failed", message: "", causes } }, 9),
  ]) {
    const run = newRun(draft(), 1);
    apply(run.requests[0]);
    const [a, b] = run.legs;
    assert.deepEqual([a.check.isValid, a.check.reason, a.text], [false, "no label", '{"lab']);
    assert.deepEqual([b.check, b.error.code, stateLabel(b)], [null, "x", "failed"]);
  }
});

test("in a checked race each model has the outcome of its last call", () => {
  const run = newRun(draft({ mode: "race", models: ["a", "b", "c"] }), 1);
  const [request] = run.requests;
  applyChunk(request, { model: "b", choices: [{ index: 0, delta: { content: "{}" } }] }, 40);
  const attempts = [
    call("a", "invalid"),
    call("b", "invalid"),
    call("b", "won"),
    call("a", "cancelled", { cost_usd: null, billing: "stops" }),
    call("c", "not_started"),
  ];
  applyChunk(request, { model: "b", choices: [], fanout: { attempts } }, 41);
  const [a, b, c] = run.legs;
  assert.deepEqual([a.state, a.endMs, a.cost, a.billing], ["cancelled", 20, 0.25, "stops"]);
  assert.deepEqual([b.won, b.text, b.cost, b.firstTokenMs], [true, "{}", 0.5, 40]);
  assert.deepEqual(outcomes(b), ["a invalid", "b invalid", "b won", "a cancelled"]);
  assert.equal(c.state, "not_started");
});

test("if another model than those of a race responds, its response stays in sight", () => {
  const run = newRun(draft({ mode: "race" }), 1);
  const [request] = run.requests;
  applyChunk(request, { model: "d", choices: [{ index: 0, delta: { content: "{}" } }] }, 40);
  const attempts = [call("b", "invalid"), call("a", "invalid"), call("d", "won")];
  applyChunk(request, { model: "d", choices: [], fanout: { attempts } }, 41);
  const [a, b] = run.legs;
  assert.deepEqual([a.won, a.text, a.check.model], [true, "{}", "d"]);
  assert.deepEqual([b.won, b.state, b.error.message], [false, "failed", `${FAULT} no label`]);
});

test("a race without a response that fits shows the last text and all calls", () => {
  const run = newRun(draft({ mode: "race" }), 1);
  const failed = call("a", "failed", { error: { code: "x", message: "down" } });
  const error = { status: 502, ...mismatch([failed, call("b", "invalid")]) };
  applyError(run.requests[0], error, 9);
  const [a, b] = run.legs;
  assert.deepEqual([a.state, a.error.message, a.check], ["failed", "down", null]);
  assert.deepEqual([b.state, b.text, outcomes(b)], ["failed", '{"lab', ["a failed", "b invalid"]]);
  assert.equal(b.error.status, 502);
});

test("a checked run is copied with its schema, and Fanout's own fields as the SDK takes them", () => {
  const text = pythonSnippet("http://h/v1", newRun(draft({ mode: "race" }), 1));
  assert.match(text, /response_format=\{\n {8}"type": "json_schema",\n {8}"json_schema": /);
  assert.match(text, /extra_body=\{\n {8}"fastest_response": True,\n {8}"fanout": \{"check": /);
  assert.doesNotMatch(text, /^ {4}fanout=/m);
});
