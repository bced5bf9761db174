import assert from "node:assert/strict";
import test from "node:test";

import {
  messagesOf,
  nextConversations,
  withoutModel,
} from "../../../shared/fanout/page/compare/chat-requests.js";
import { newRun, retryLeg } from "../../../shared/fanout/page/compare/run.js";

const draft = (more = {}) => ({
  mode: "all",
  models: ["a", "b", "c"],
  system: "Be brief.",
  prompts: [{ text: "Hi", pictures: [] }],
  maxTokens: 9,
  temperature: null,
  settings: {},
  ...more,
});
const SYSTEM = { role: "system", content: "Be brief." };
const user = (content) => ({ role: "user", content });
const assistant = (content) => ({ role: "assistant", content });

/** A run whose legs have these texts; `null` is a failed one. */
function finished(run, texts) {
  run.legs.forEach((leg, at) =>
    Object.assign(leg, { state: texts[at] === null ? "failed" : "done", text: texts[at] ?? "" }),
  );
  return run;
}

test("a request without a model that the gateway does not have asks the others", () => {
  const prompts = ["One", "Two"].map((text) => ({ text, pictures: [] }));
  const [request] = newRun(draft({ prompts }), 1).requests;
  const rest = withoutModel(request, "b");
  assert.deepEqual(rest.body.model, ["a", "c"]);
  assert.deepEqual(
    rest.legs.map((leg) => [leg.prompt, leg.model]),
    [
      [0, "a"],
      [0, "c"],
      [1, "a"],
      [1, "c"],
    ],
  );
  assert.deepEqual(request.body.model, ["a", "b", "c"]);
  assert.equal(withoutModel(request, "x"), null);
  assert.equal(withoutModel({ ...request, body: { model: ["b"] } }, "b"), null);
});

test("each model that has responded continues its own conversation", () => {
  const run = finished(newRun(draft(), 1), ["I am a", null, "I am c"]);
  const { models, histories } = nextConversations(run);
  assert.deepEqual(models, ["a", "c"]);
  assert.deepEqual(histories, [
    [SYSTEM, user("Hi"), assistant("I am a")],
    [SYSTEM, user("Hi"), assistant("I am c")],
  ]);
  const prompts = [{ text: "And now?", pictures: [] }];
  const next = newRun(draft({ models, prompts }), 2, 0, histories);
  assert.deepEqual(
    next.requests.map(({ body, legs }) => [body.model, body.max_tokens, legs.length]),
    [
      [["a"], 9, 1],
      [["c"], 9, 1],
    ],
  );
  const second = [SYSTEM, user("Hi"), assistant("I am c"), user("And now?")];
  assert.deepEqual(next.requests[1].body.messages, second);
  assert.deepEqual(messagesOf(next, next.legs[1]), second);
  assert.deepEqual(retryLeg(next, next.legs[1], 5).body.messages, second);
  const third = nextConversations(finished(next, ["A again", "C again"]));
  assert.deepEqual(third.histories[1], [...second, assistant("C again")]);
});

test("after a race all models continue the winner's conversation, in one race", () => {
  const run = newRun(draft({ mode: "race" }), 1);
  Object.assign(run.legs[1], { state: "done", won: true, text: "I am b" });
  const { models, histories } = nextConversations(run);
  assert.deepEqual(models, ["a", "b", "c"]);
  const [request, ...others] = newRun(draft({ mode: "race" }), 2, 0, histories).requests;
  assert.equal(others.length, 0);
  assert.equal(request.body.fastest_response, true);
  assert.deepEqual(request.body.messages, [SYSTEM, user("Hi"), assistant("I am b"), user("Hi")]);
});

test("a grid, and a run without a response, have nothing to continue", () => {
  const prompts = ["One", "Two"].map((text) => ({ text, pictures: [] }));
  const grid = newRun(draft({ prompts }), 1);
  assert.equal(nextConversations(finished(grid, Array(6).fill("text"))), null);
  assert.equal(nextConversations(finished(newRun(draft(), 1), [null, null, null])), null);
});

test("a model with its own settings gets its own request", () => {
  const prompts = ["One", "Two"].map((text) => ({ text, pictures: [] }));
  const settings = { b: { maxTokens: null, temperature: 0.2 } };
  const run = newRun(draft({ prompts, settings, temperature: 1 }), 1);
  assert.deepEqual(
    run.requests.map(({ body }) => [body.model, body.max_tokens, body.temperature]),
    [
      [["a", "c"], 9, 1],
      [["b"], 9, 0.2],
    ],
  );
  const legs = run.requests.map((request) => request.legs.map((leg) => [leg.prompt, leg.model]));
  assert.deepEqual(legs, [
    [
      [0, "a"],
      [0, "c"],
      [1, "a"],
      [1, "c"],
    ],
    [
      [0, "b"],
      [1, "b"],
    ],
  ]);
  assert.equal(retryLeg(run, run.legs[1], 0).body.temperature, 0.2);
  const race = newRun(draft({ mode: "race", settings, temperature: 1 }), 1);
  assert.equal(race.requests[0].body.temperature, 1);
});
