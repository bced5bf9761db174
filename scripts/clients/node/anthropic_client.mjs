// Anthropic's Node SDK against the gateway.
import Anthropic, { InternalServerError, NotFoundError } from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import assert from "node:assert/strict";
import { z } from "zod";
import {
  all,
  checkFirst,
  checkWeather,
  forEachVendor,
  prompt,
  question,
  runCases,
  settle,
  url,
  version,
} from "./cases.mjs";

const { messages } = new Anthropic({
  baseURL: url.replace(/\/v1$/, ""),
  apiKey: "none",
  maxRetries: 0,
});
const ask = { max_tokens: 4000, messages: [{ role: "user", content: prompt }] };
const Weather = z.object({ city: z.string(), degrees: z.number().int().min(-90).max(60) });
const tools = [
  {
    name: "get_weather",
    input_schema: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
    cache_control: { type: "ephemeral" },
  },
];

/** The text of a message. */
function textOf(message) {
  return message.content.map((block) => block.text ?? "").join("");
}

/** Two turns, plain or streamed; the model's content is sent back as it is. */
async function weather(model, send) {
  const said = [{ role: "user", content: question }];
  const rest = { model, max_tokens: 4000, tools };
  if (model === "thinker") rest.thinking = { type: "enabled", budget_tokens: 1024 };
  const called = await send({ ...rest, messages: said });
  assert.equal(called.stop_reason, "tool_use");
  const calls = called.content.filter((block) => block.type === "tool_use");
  const results = calls.map((call) => ({
    type: "tool_result",
    tool_use_id: call.id,
    content: `7 degrees in ${call.input.city}`,
  }));
  said.push({ role: "assistant", content: called.content }, { role: "user", content: results });
  return checkWeather(textOf(await send({ ...rest, messages: said })));
}

await runCases(`@anthropic-ai/sdk ${version("@anthropic-ai/sdk")}`, {
  async cancelled() {
    let words = 0;
    const stream = await messages.create({ model: "endless", stream: true, ...ask });
    for await (const event of stream) {
      words += event.type === "content_block_delta";
      if (words === 4) break;
    }
    await settle();
    return `after ${words} words`;
  },
  async plain() {
    return textOf(await messages.create({ model: "gpt", ...ask }));
  },
  async streamed() {
    const words = [];
    const stream = messages.stream({ model: "gpt", ...ask });
    stream.on("text", (text) => words.push(text));
    const message = await stream.finalMessage();
    assert.ok(words.length > 1);
    assert.equal(words.join(""), textOf(message));
    return words.join("");
  },
  async "all, one fails"() {
    const message = await messages.create({ model: all, ...ask });
    checkFirst(textOf(message));
    assert.equal(message.fanout.responses[1].content[0].text, "Hello from gpt-4o.");
    return message.fanout.responses[0].error.message;
  },
  async "race, streamed"() {
    const race = { model: "slow, gpt", fastest_response: true, ...ask };
    const message = await messages.stream(race).finalMessage();
    assert.equal(textOf(message), "Hello from gpt-4o.");
    return message.model;
  },
  ...forEachVendor("tools", async (model) => {
    await weather(model, (body) => messages.create(body));
    return weather(model, (body) => messages.stream(body).finalMessage());
  }),
  ...forEachVendor("structured", async (model) => {
    const output_config = { format: zodOutputFormat(Weather) };
    const { parsed_output: found } = await messages.parse({ model, output_config, ...ask });
    assert.deepEqual(found, { city: "Oslo", degrees: 7 });
    return JSON.stringify(found);
  }),
  async "unknown model"() {
    const error = await messages.create({ model: "no-such-model", ...ask }).catch((e) => e);
    assert.ok(error instanceof NotFoundError);
    return error.error.error.type;
  },
  async error() {
    const error = await messages.create({ model: "failing", ...ask }).catch((e) => e);
    assert.ok(error instanceof InternalServerError);
    return error.status;
  },
});
