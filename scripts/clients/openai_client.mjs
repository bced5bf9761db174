// OpenAI's Node SDK against the gateway at argv[2]; `scripts/clients.py` runs it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import OpenAI, { BadRequestError, NotFoundError } from "openai";

const about = new URL("node_modules/openai/package.json", import.meta.url);
const name = `openai ${JSON.parse(readFileSync(about)).version}, Node ${process.versions.node}`;
const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const messages = [
  { role: "system", content: "Answer in one short sentence." },
  { role: "user", content: "Write a slogan for a bakery." },
];
const trio = ["smol", "smol-warm", "smol-claude"];
const ask = (model, more) =>
  client.chat.completions.create({ model, messages, max_tokens: 24, ...more });

const cases = {
  async chat() {
    const answer = await ask("smol");
    assert.equal(answer.model, "smol");
    assert.match(answer._request_id, /^req_/);
    assert.ok(answer.usage.completion_tokens > 0);
    return answer.choices[0].message.content;
  },
  async stream() {
    const parts = [];
    let usage;
    const options = { stream: true, stream_options: { include_usage: true } };
    for await (const chunk of await ask("smol", options)) {
      parts.push(chunk.choices[0]?.delta.content ?? "");
      usage = chunk.usage;
    }
    assert.ok(parts.filter(Boolean).length > 1 && usage.completion_tokens > 0);
    return parts.join("");
  },
  async race() {
    const answer = await ask(trio.join(", "), { fastest_response: true });
    const outcomes = answer.fanout.attempts.map((attempt) => attempt.outcome).sort();
    assert.deepEqual(outcomes, ["cancelled", "cancelled", "won"]);
    assert.ok(trio.includes(answer.model));
    return `${answer.model} won: ${answer.choices[0].message.content}`;
  },
  async "race, streamed"() {
    const body = { model: trio.join(", "), messages, max_tokens: 24, fastest_response: true };
    const answer = await client.chat.completions.stream(body).finalChatCompletion();
    assert.ok(trio.includes(answer.model));
    return `${answer.model} won: ${answer.choices[0].message.content}`;
  },
  async all() {
    const answer = await ask(trio.join(", "));
    assert.deepEqual(answer.choices.map((choice) => choice.model), trio);
    return `${answer.choices.length} choices`;
  },
  async "unknown model"() {
    const error = await ask("no-such-model").catch((raised) => raised);
    assert.ok(error instanceof NotFoundError, error);
    assert.equal(error.code, "model_not_found");
    return `${error.constructor.name}: ${error.code}`;
  },
  async "wrong value"() {
    const error = await ask("smol", { temperature: 9 }).catch((raised) => raised);
    assert.ok(error instanceof BadRequestError, error);
    assert.equal(error.param, "temperature");
    return `${error.constructor.name}: ${error.param}`;
  },
};

for (const [what, run] of Object.entries(cases)) {
  const line = { client: name, what, result: "", fault: "" };
  try {
    line.result = await run();
  } catch (error) {
    line.fault = String(error);
  }
  console.log(JSON.stringify(line));
}
