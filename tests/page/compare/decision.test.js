import assert from "node:assert/strict";
import test from "node:test";

import { decisionProblem, decisionTitle } from "../../../shared/fanout/page/compare/decision.js";
import { applyError } from "../../../shared/fanout/page/compare/leg-errors.js";
import { applyChunk, newRun, retryLeg } from "../../../shared/fanout/page/compare/run.js";

const RULES = { k: 3, judge: "", criteria: "" };
const draft = (more = {}) => ({
  mode: "agree",
  models: ["a", "b", "c"],
  system: "",
  prompts: [{ text: "Hi", pictures: [] }],
  maxTokens: null,
  temperature: null,
  settings: {},
  decision: RULES,
  ...more,
});
const call = (model, outcome, more = {}) => ({
  model,
  outcome,
  first_token_ms: 10,
  duration_ms: 20,
  error: null,
  usage: null,
  cost_usd: 0.01,
  billing: null,
  ...more,
});

test("the fields of each mode are sent, also with a schema", () => {
  const schema = { schema: '{"type": "object"}', attempts: 2, escalate: [] };
  const best = { mode: "best", decision: { k: null, judge: " c ", criteria: "Short." } };
  assert.deepEqual(newRun(draft(), 1).requests[0].body.fanout, { mode: "agree", k: 3 });
  assert.deepEqual(newRun(draft({ ...best, format: schema }), 1).requests[0].body.fanout, {
    check: true,
    attempts: 2,
    mode: "best",
    judge: "c",
    criteria: "Short.",
  });
  const two = [{ text: "1", pictures: [] }, { text: "2", pictures: [] }]; // prettier-ignore
  assert.equal(newRun(draft({ prompts: two }), 1).requests.length, 2);
});

test("a draft that cannot be decided on says why", () => {
  const of = (more) => decisionProblem(draft(more));
  assert.equal(of({}), "");
  assert.equal(of({ models: ["a"] }), "Pick at least two models.");
  assert.equal(of({ decision: { ...RULES, k: 4 } }), "Votes must be from 2 to 3.");
  assert.equal(of({ decision: { ...RULES, k: NaN } }), "Votes must be from 2 to 3.");
  assert.equal(of({ mode: "best" }), "Name a judge.");
  const merge = { mode: "merge", decision: { ...RULES, judge: "a" } };
  assert.equal(of({ ...merge, format: { schema: "{}" } }), "A merged response is not checked.");
});

test("the report says what became of each model, and a retry starts over", () => {
  const run = newRun(draft(), 1);
  const [request] = run.requests;
  const [result] = run.results;
  applyChunk(request, { model: "c", choices: [{ index: 0, delta: { content: "yes" } }] }, 30);
  assert.equal(result.model, "c");
  assert.ok(run.legs.every((leg) => leg.text === ""));
  const votes = [{ value: "yes", votes: 2, models: ["b", "c"] }];
  const attempts = [
    call("a", "no_vote", { error: { message: "too long" } }),
    call("b", "agreed", { first_token_ms: 50 }),
    call("c", "won"),
  ];
  const agree = { decided: true, k: 2, votes };
  applyChunk(request, { choices: [], fanout: { attempts, agree, cost_usd: 0.03 } }, 40);
  assert.deepEqual(
    run.legs.map((leg) => [leg.state, leg.won, leg.reason, leg.endMs, leg.error]),
    [
      ["done", false, "too long", 20, null],
      ["done", false, "", 50, null],
      ["done", true, "", 20, null],
    ],
  );
  assert.equal(decisionTitle(result), "The models agree, with 2 votes.");
  assert.equal(result.cost, 0.03);
  retryLeg(run, result, 100);
  assert.deepEqual([result.text, result.model, result.startMs, run.legs[2].won], ["", "", 100, false]); // prettier-ignore
});

test("an error ends the response and the models", () => {
  const run = newRun(draft(), 1);
  const causes = ["a", "b", "c"].map((name) => ({ message: name, status: 500 }));
  applyError(run.requests[0], { status: 502, code: null, message: "no", causes }, 5);
  assert.equal(run.results[0].model, "No response");
  assert.deepEqual(
    [...run.results, ...run.legs].map((leg) => [leg.state, leg.error.message]),
    ["no", "a", "b", "c"].map((message) => ["failed", message]),
  );
});
