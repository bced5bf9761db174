import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";

import { newRun } from "../../../shared/fanout/page/compare/run.js";
import {
  curlSnippet,
  jsonResults,
  pythonSnippet,
} from "../../../shared/fanout/page/compare/snippets.js";

const run = newRun(
  {
    mode: "race",
    models: ["a", "b"],
    system: "",
    prompts: [{ text: "It's \"5\" o'clock", pictures: [] }],
    maxTokens: 5,
    temperature: null,
    settings: {},
  },
  1,
  Date.UTC(2026, 0, 2),
);

test("the curl snippet is quoted for a shell and contains no key", () => {
  const shell = `curl() { for word in "$@"; do printf '%s\\0' "$word"; done; }; FANOUT_KEY=k; ${curlSnippet("http://x/v1", run)}`;
  const words = execFileSync("/bin/sh", ["-c", shell]).toString().split("\0");
  assert.deepEqual(words.slice(0, 7), [
    ...["-N", "http://x/v1/chat/completions", "-H", "Authorization: Bearer k"],
    ...["-H", "Content-Type: application/json", "-d"],
  ]);
  assert.deepEqual(JSON.parse(words[7]), run.requests[0].body);
});

test("the Python snippet uses OpenAI's SDK", () => {
  const text = pythonSnippet("http://x/v1", run);
  assert.ok(
    text.includes(
      'client = OpenAI(base_url="http://x/v1", api_key=os.environ.get("FANOUT_KEY", "none"))',
    ),
  );
  assert.ok(
    text.includes(
      '    model="a, b",\n    messages=[{"role": "user", "content": "It\'s \\"5\\" o\'clock"}],\n    max_tokens=5,\n',
    ),
  );
  assert.ok(text.includes('    extra_body={"fastest_response": True},\n'));
});

test("the JSON has the requests, the responses and the choice", () => {
  run.choices[0] = "b";
  const parsed = JSON.parse(jsonResults(run));
  assert.equal(parsed.asked, "2026-01-02T00:00:00.000Z");
  assert.deepEqual(
    parsed.requests,
    run.requests.map((request) => request.body),
  );
  assert.deepEqual(
    parsed.answers.map((one) => [one.model, one.chosen]),
    [
      ["a", false],
      ["b", true],
    ],
  );
});
