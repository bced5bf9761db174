// Vercel's AI SDK with @ai-sdk/openai-compatible against the gateway at argv[2].
import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";
import {
  all, checkFirst, checkMixed, checkWeather, forEachVendor, prompt, question, runCases, settle, url, version,
} from "./cases.mjs";

const provider = createOpenAICompatible({
  name: "fanout",
  baseURL: url,
  apiKey: "none",
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const race = { fanout: { fastest_response: true } }; // by the provider's name
const Weather = z.object({ city: z.string(), degrees: z.number().int().min(-90).max(60) });
const agent = (model) => ({
  model: provider(model),
  prompt: question,
  stopWhen: isStepCount(3),
  tools: {
    get_weather: tool({
      description: "Returns the weather in a city.",
      inputSchema: z.object({ city: z.string() }),
      execute: ({ city }) => `7 degrees in ${city}`,
    }),
  },
});

async function failure(model, status) {
  // The AI SDK does not heed `x-should-retry`.
  const options = { model: provider(model), prompt, maxRetries: 0 };
  const error = await generateText(options).catch((raised) => raised);
  assert.ok(APICallError.isInstance(error), error);
  assert.equal(error.statusCode, status);
  return `${error.name}: ${status}`;
}

await runCases(`ai ${version("ai")}, @ai-sdk/openai-compatible ${version("@ai-sdk/openai-compatible")}`, {
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
  async "all, one fails"() {
    return checkFirst((await generateText({ model: provider(all), prompt })).text);
  },
  async "all, one fails, streamed"() {
    return checkMixed(await streamText({ model: provider(all), prompt }).text);
  },
  async race() {
    const answer = await generateText({ model: provider("slow, gpt"), prompt, providerOptions: race });
    assert.equal(answer.response.modelId, "gpt");
    return answer.text;
  },
  async "race, streamed"() {
    const answer = streamText({ model: provider("slow, gpt"), prompt, providerOptions: race });
    const text = await answer.text;
    assert.equal(text, "Hello from gpt-4o.");
    return text;
  },
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
  "unknown model": () => failure("no-such-model", 404),
  error: () => failure("failing", 502),
});
