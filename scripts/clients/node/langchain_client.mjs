// LangChain JS against the gateway at argv[2].
import assert from "node:assert/strict";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import { z } from "zod";
import {
  all, checkFirst, checkMixed, checkWeather, forEachVendor, prompt, question, runCases, settle, url, version,
} from "./cases.mjs";

const chat = (model, more) =>
  new ChatOpenAI({ model, apiKey: "none", configuration: { baseURL: url }, ...more });
const race = { modelKwargs: { fastest_response: true } };
const Weather = z.object({ city: z.string(), degrees: z.number().int().min(-90).max(60) });
const getWeather = tool(({ city }) => `7 degrees in ${city}`, {
  name: "get_weather",
  description: "Returns the weather in a city.",
  schema: z.object({ city: z.string() }),
});

async function failure(model, status) {
  // LangChain JS does not heed `x-should-retry`.
  const error = await chat(model, { maxRetries: 0 }).invoke(prompt).catch((raised) => raised);
  assert.ok(error instanceof Error, "no error was raised");
  assert.equal(error.status, status, error);
  return `${error.constructor.name}: ${status}`;
}

await runCases(`@langchain/openai ${version("@langchain/openai")}`, {
  async cancelled() {
    let chunks = 0;
    for await (const _ of await chat("endless").stream(prompt)) {
      if (++chunks > 3) break;
    }
    await settle();
    return `after ${chunks} chunks`;
  },
  async plain() {
    const answer = await chat("gpt").invoke(prompt);
    assert.equal(answer.usage_metadata.output_tokens, 7);
    return answer.text;
  },
  async streamed() {
    const chunks = [];
    for await (const chunk of await chat("gpt").stream(prompt)) chunks.push(chunk);
    assert.ok(chunks.filter((chunk) => chunk.text).length > 1);
    assert.ok(chunks.some((chunk) => chunk.usage_metadata), "no usage");
    return chunks.map((chunk) => chunk.text).join("");
  },
  async "all, one fails"() {
    return checkFirst((await chat(all).invoke(prompt)).text);
  },
  async "all, one fails, streamed"() {
    let text = "";
    for await (const chunk of await chat(all).stream(prompt)) text += chunk.text;
    return checkMixed(text);
  },
  async race() {
    const answer = await chat("slow, gpt", race).invoke(prompt);
    assert.equal(answer.response_metadata.model_name, "gpt");
    return answer.text;
  },
  async "race, streamed"() {
    let text = "";
    for await (const chunk of await chat("slow, gpt", race).stream(prompt)) text += chunk.text;
    assert.equal(text, "Hello from gpt-4o.");
    return text;
  },
  ...forEachVendor("tools", async (model) => {
    const ask = { role: "user", content: question };
    const agent = createAgent({ model: chat(model), tools: [getWeather], name: "forecaster" });
    const first = await agent.invoke({ messages: [ask] });
    checkWeather(first.messages.at(-1).text);
    const second = await agent.invoke({ messages: [...first.messages, ask] });
    checkWeather(second.messages.at(-1).text);
    let text = "";
    const stream = await agent.stream({ messages: [ask] }, { streamMode: "messages" });
    for await (const [message] of stream) text += message.type === "ai" ? message.text : "";
    return checkWeather(text);
  }),
  ...forEachVendor("structured", async (model) => {
    for (const method of ["jsonSchema", "functionCalling"]) {
      const found = await chat(model).withStructuredOutput(Weather, { method }).invoke(prompt);
      assert.deepEqual(found, { city: "Oslo", degrees: 7 }, method);
    }
    return "by schema and by tool";
  }),
  "unknown model": () => failure("no-such-model", 404),
  error: () => failure("failing", 502),
});
