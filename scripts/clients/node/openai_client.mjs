// OpenAI's Node SDK against the gateway at argv[2].
import assert from "node:assert/strict";
import OpenAI, { InternalServerError, NotFoundError } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import {
  all as models, checkAll, checkWeather, forEachVendor, prompt, question, runCases, settle, url, version,
} from "./cases.mjs";

const client = new OpenAI({ baseURL: url, apiKey: "none" });
const { completions } = client.chat;
const messages = [{ role: "user", content: prompt }];
const all = { model: models, messages };
const race = { model: "slow, gpt", messages, fastest_response: true };
const Weather = z.object({ city: z.string(), degrees: z.number().int().min(-90).max(60) });
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tool = { type: "function", function: { name: "get_weather", strict: true, parameters } };

const ask = async (body) => (await completions.create(body)).choices[0];
const askStreamed = async (body) =>
  (await completions.stream(body).finalChatCompletion()).choices[0];

async function tools(model) {
  let text;
  for (const turn of [ask, askStreamed]) {
    const history = [{ role: "user", content: question }];
    const called = await turn({ model, messages: history, tools: [tool] });
    assert.equal(called.finish_reason, "tool_calls");
    history.push(called.message);
    for (const call of called.message.tool_calls) {
      const content = `7 degrees in ${JSON.parse(call.function.arguments).city}`;
      history.push({ role: "tool", tool_call_id: call.id, content });
    }
    text = checkWeather((await turn({ model, messages: history, tools: [tool] })).message.content);
  }
  return text;
}

// Lists that are not OpenAI's come in several chunks of the vendor.
async function lists(body) {
  const { choices } = await completions.stream({ messages, ...body }).finalChatCompletion();
  const { message } = choices.at(-1);
  assert.equal(message.content, "Hello from lists.");
  const texts = message.annotations.map((one) => one.text);
  assert.deepEqual(texts, ["Hello ", "from ", "lists."]);
  return `${texts.length} elements`;
}

async function failure(model, kind) {
  const error = await completions.create({ model, messages }).catch((raised) => raised);
  assert.ok(error instanceof kind, error);
  return `${error.constructor.name}: ${error.status}`;
}

await runCases(`openai ${version("openai")}`, {
  async cancelled() {
    let chunks = 0;
    for await (const _ of await completions.create({ model: "endless", messages, stream: true })) {
      if (++chunks > 3) break;
    }
    await settle();
    return `after ${chunks} chunks`;
  },
  async plain() {
    const answer = await completions.create({ model: "gpt", messages });
    assert.equal(answer.model, "gpt");
    assert.match(answer._request_id, /^req_/);
    assert.equal(answer.usage.completion_tokens, 7);
    return answer.choices[0].message.content;
  },
  async streamed() {
    const options = { stream_options: { include_usage: true } };
    const stream = completions.stream({ model: "gpt", messages, ...options });
    let words = 0;
    stream.on("content", () => (words += 1));
    const answer = await stream.finalChatCompletion();
    assert.ok(words > 1 && answer.usage.completion_tokens === 7, JSON.stringify(answer));
    return answer.choices[0].message.content;
  },
  "all, one fails": async () => checkAll((await completions.create(all)).choices),
  "all, one fails, streamed": async () =>
    checkAll((await completions.stream(all).finalChatCompletion()).choices),
  async race() {
    const answer = await completions.create(race);
    assert.deepEqual(answer.fanout.attempts.map((one) => one.outcome).sort(), ["cancelled", "won"]);
    assert.equal(answer.model, "gpt");
    return answer.choices[0].message.content;
  },
  async "race, streamed"() {
    const answer = await completions.stream(race).finalChatCompletion();
    assert.equal(answer.model, "gpt");
    return answer.choices[0].message.content;
  },
  ...forEachVendor("tools", tools),
  lists: () => lists({ model: "lists" }),
  "lists, race": () => lists({ model: "slow, lists", fastest_response: true }),
  "lists, all": () => lists({ model: "slow, lists" }),
  ...forEachVendor("structured", async (model) => {
    const format = zodResponseFormat(Weather, "weather");
    const answer = await completions.parse({ model, messages, response_format: format });
    assert.deepEqual(answer.choices[0].message.parsed, { city: "Oslo", degrees: 7 });
    return answer.choices[0].message.content;
  }),
  async embeddings() {
    const { data } = await client.embeddings.create({ model: "vectors", input: ["a", "bb", "ccc"] });
    assert.deepEqual(data.map((one) => one.embedding[0]), [1, 2, 3]);
    return `${data.length} vectors`;
  },
  "unknown model": () => failure("no-such-model", NotFoundError),
  error: () => failure("failing", InternalServerError),
});
