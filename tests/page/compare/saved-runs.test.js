import assert from "node:assert/strict";
import test from "node:test";

import { newRun } from "../../../shared/fanout/page/compare/run.js";
import { loadRuns, saveRuns } from "../../../shared/fanout/page/compare/saved-runs.js";

/** The browser's storage, with room for so many characters. @param {number} room */
function useStorage(room = Infinity) {
  const items = new Map();
  globalThis.sessionStorage = {
    getItem: (name) => items.get(name) ?? null,
    removeItem: (name) => items.delete(name),
    setItem(name, value) {
      if (value.length > room) throw new Error("QuotaExceededError");
      items.set(name, value);
    },
  };
}

const PICTURE = "data:image/png;base64,AA==";
const draft = (text) => ({
  mode: "all",
  models: ["a", "b"],
  system: "",
  prompts: [{ text, pictures: [PICTURE] }],
  maxTokens: null,
  temperature: 0.5,
  settings: {},
});

test("a run is restored with its responses and choices, without pictures", () => {
  useStorage();
  const before = [
    {
      role: "user",
      content: [
        { type: "text", text: "See" },
        { type: "image_url", image_url: { url: PICTURE } },
      ],
    },
    { role: "assistant", content: "Seen" },
  ];
  const run = newRun(draft("What is it?"), 7, 123, [before, before]);
  Object.assign(run.legs[0], { state: "done", endMs: 50, text: "A dot", cost: 0.1 });
  run.choices[0] = "a";
  saveRuns([run]);
  const [restored] = loadRuns();
  assert.deepEqual([restored.id, restored.at, restored.choices], [7, 123, ["a"]]);
  assert.deepEqual(restored.legs[0], run.legs[0]);
  assert.deepEqual(restored.draft.prompts, [{ text: "What is it?", pictures: [] }]);
  assert.deepEqual(restored.histories[0][0], { role: "user", content: "See" });
  assert.equal(restored.requests[1].legs[0], restored.legs[1]);
});

test("a response that was not complete is stopped", () => {
  useStorage();
  const run = newRun(draft("Hi"), 1);
  Object.assign(run.legs[0], { state: "streaming", startMs: 5, firstTokenMs: 80, text: "so far" });
  saveRuns([run]);
  const [leg, other] = loadRuns()[0].legs;
  assert.deepEqual([leg.state, leg.endMs, leg.text], ["stopped", 80, "so far"]);
  assert.equal(leg.error.code, "page_closed");
  assert.equal(other.state, "stopped");
});

test("the latest runs that fit are kept", () => {
  const runs = [1, 2, 3].map((id) => newRun(draft("x".repeat(1000)), id));
  useStorage(5000);
  saveRuns(runs);
  assert.deepEqual(
    loadRuns().map((run) => run.id),
    [2, 3],
  );
  useStorage(10);
  saveRuns(runs);
  assert.deepEqual(loadRuns(), []);
});

test("what another version of the page has saved is ignored", () => {
  useStorage();
  sessionStorage.setItem("fanout.runs", JSON.stringify({ version: 99, runs: [{}] }));
  assert.deepEqual(loadRuns(), []);
});
