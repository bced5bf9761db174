// Vercel's AI SDK with @ai-sdk/openai, whose default is /v1/responses, against the gateway at argv[2].
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, embedMany, generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";
import {
  all, checkWeather, forEachVendor, prompt, question, runCases, settle, url, version,
} from "./cases.mjs";

const provider = createOpenAI({ baseURL: url, apiKey: "none" });
const stateless = { openai: { store: false } }; // so that reasoning is sent back whole
const Weather = z.object({ city: z.string(), degrees: z.number().int().min(-90).max(60) });
const agent = (model) => ({
  model: provider(model),
  prompt: question,
  providerOptions: stateless,
  stopWhen: isStepCount(3),
  tools: {
    get_weather: tool({
      description: "Returns the weather in a city.",
      inputSchema: z.object({ city: z.string() }),
      execute: ({ city }) => `7 degrees in ${city}`,
    }),
  },
});

function checkOne(text) {
  assert.match(text, /^Hello from (slow|gpt-4o)\.$/);
  return text;
}

async function failure(model, status) {
  // The AI SDK does not heed `x-should-retry`.
  const options = { model: provider(model), prompt, maxRetries: 0 };
  const error = await generateText(options).catch((raised) => raised);
  assert.ok(APICallError.isInstance(error), error);
  assert.equal(error.statusCode, status);
  return `${error.name}: ${status}`;
}

await runCases(`ai ${version("ai")}, @ai-sdk/openai ${version("@ai-sdk/openai")}, responses`, {
  async cancelled() {
    const abort = new AbortController();
    const options = { model: provider("endless"), prompt, abortSignal: abort.signal };
    let words = 0;
    for await (const _ of streamText(options).textStream) {
      if (++words === 3) abort.abort();
    }
    await settle();
    return `after ${words} words`;
  },
  async plain() {
    const answer = await generateText({ model: provider("gpt"), prompt });
    assert.equal(answer.finishReason, "stop");
    assert.equal(answer.usage.outputTokens, 7);
    return answer.text;
  },
  async streamed() {
    const answer = streamText({ model: provider("gpt"), prompt });
    const words = [];
    for await (const word of answer.textStream) words.push(word);
    assert.ok(words.length > 1);
    assert.equal((await answer.usage).outputTokens, 7);
    return words.join("");
  },
  "all, one fails": async () =>
    checkOne((await generateText({ model: provider(all), prompt })).text),
  "all, one fails, streamed": async () =>
    checkOne(await streamText({ model: provider(all), prompt }).text),
  ...forEachVendor("tools", async (model) => {
    const first = await generateText(agent(model));
    checkWeather(first.text);
    const again = { role: "user", content: question };
    const history = [again, ...first.response.messages, again];
    const { prompt: _, ...options } = agent(model);
    checkWeather((await generateText({ ...options, messages: history })).text);
    return checkWeather(await streamText(agent(model)).text);
  }),
  ...forEachVendor("structured", async (model) => {
    const output = Output.object({ schema: Weather });
    const answer = await generateText({ model: provider(model), prompt, output });
    assert.deepEqual(answer.output, { city: "Oslo", degrees: 7 });
    return JSON.stringify(answer.output);
  }),
  async embeddings() {
    const model = provider.textEmbeddingModel("vectors");
    const { embeddings } = await embedMany({ model, values: ["a", "bb", "ccc"] });
    assert.deepEqual(embeddings.map((one) => one[0]), [1, 2, 3]);
    return `${embeddings.length} vectors`;
  },
  "unknown model": () => failure("no-such-model", 404),
  error: () => failure("failing", 502),
});
