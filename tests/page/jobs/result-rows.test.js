import assert from "node:assert/strict";
import test from "node:test";

import { csvOf, joined, promptOf, resultOf } from "../../../shared/fanout/page/jobs/result-rows.js";

const message = (content, more = {}) => ({ message: { role: "assistant", content, ...more } });
const output = (id, choices, more = {}) =>
  JSON.stringify({ custom_id: id, response: { status_code: 200, body: { choices, ...more } } });

test("the prompt of each kind of line is its last message of the user", () => {
  const messages = [
    { role: "system", content: "Be brief." },
    { role: "user", content: "First" },
    { role: "assistant", content: "Yes" },
    { role: "user", content: [{ type: "text", text: "See" }, { type: "image_url" }] },
  ];
  const lines = [
    JSON.stringify({ custom_id: "a", body: { messages } }),
    JSON.stringify({ messages: messages.slice(0, 2) }),
    JSON.stringify({ prompt: "Alone" }),
    JSON.stringify(messages.slice(1, 2)),
    "no JSON",
  ];
  assert.deepEqual(
    lines.map((line, at) => Object.values(promptOf(line, at + 1))),
    [
      ["a", "See [image_url]"],
      ["line-2", "First"],
      ["line-3", "Alone"],
      ["line-4", "First"],
      ["line-5", "no JSON"],
    ],
  );
});

test("a response has its text, its model and its tokens; a failed line its error", () => {
  const row = resultOf(output("a", [message("Hi")], { model: "m", usage: { total_tokens: 9 } }));
  assert.deepEqual(row, {
    id: "a",
    prompt: null,
    response: "Hi",
    error: "",
    model: "m",
    tokens: 9,
    calls: null,
  });
  const failures = [
    { custom_id: "b", response: null, error: { code: "c", message: "No." } },
    {
      custom_id: "b",
      response: { status_code: 400, body: { error: { code: "c", message: "No." } } },
    },
  ];
  for (const failure of failures) assert.equal(resultOf(JSON.stringify(failure)).error, "No. (c)");
});

test("a line for several models has all texts, and fails only if each has failed", () => {
  const failed = { error: { code: "c", message: "No." } };
  const some = resultOf(output("a", [message("One"), failed]));
  assert.deepEqual([some.response, some.error], ["One\n\nNo. (c)", ""]);
  assert.equal(resultOf(output("a", [failed, failed])).error, "No. (c)");
  assert.equal(resultOf(output("a", [])).error, "The response is empty.");
  assert.equal(
    resultOf(output("a", [message(null, { refusal: "I will not." })])).response,
    "I will not.",
  );
});

test("a checked line has its calls, and an invalid text is no answer in the CSV", () => {
  const attempts = [{ outcome: "invalid" }, { outcome: "won" }, { outcome: "not_started" }];
  const valid = resultOf(output("a", [message("{}")], { fanout: { mode: "one", attempts } }));
  assert.deepEqual([valid.calls, valid.error], [2, ""]);
  const several = resultOf(output("b", [message("{}", {}), { fanout: { attempts } }]));
  assert.equal(several.calls, 2);
  const error = { code: "schema_mismatch", message: "No.", text: '{"lab', attempts };
  const invalid = resultOf(
    JSON.stringify({ custom_id: "c", response: { status_code: 502, body: { error } } }),
  );
  assert.deepEqual(
    [invalid.calls, invalid.response, invalid.error],
    [2, '{"lab', "No. (schema_mismatch)"],
  );
  assert.equal(csvOf([invalid]).split("\r\n")[1], "c,,,No. (schema_mismatch),,");
});

test("rows are in the order of the input, and those without a prompt come last", () => {
  const prompts = ["a", "b", "c"].map((id) => ({ id, prompt: `P${id}` }));
  const results = ["z", "c", "a"].map((id) => resultOf(output(id, [message(id)])));
  assert.deepEqual(
    joined(prompts, results).map(({ id, prompt }) => [id, prompt]),
    [
      ["a", "Pa"],
      ["c", "Pc"],
      ["z", null],
    ],
  );
});

test("a CSV has the table's columns, quotes what needs it, and no formula", () => {
  const cells = ["plain", 'a "quote"', "two\nlines", "=1+1", "-5", "-cmd", " space", "a,b"];
  const rows = cells.map((text, at) => ({
    ...resultOf(output(`r${at}`, [message(text)])),
    prompt: "p",
  }));
  const lines = csvOf(rows).split("\r\n");
  assert.equal(lines[0], "id,prompt,answer,error,model,tokens");
  assert.deepEqual(
    lines.slice(1, -1).map((line) => line.slice("r0,p,".length, -",,,".length)),
    ["plain", '"a ""quote"""', '"two\nlines"', "'=1+1", "-5", "'-cmd", '" space"', '"a,b"'],
  );
});
