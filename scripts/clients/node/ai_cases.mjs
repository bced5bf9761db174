// What the clients with Vercel's AI SDK share: the cases, for any of its providers.
import assert from "node:assert/strict";
import { APICallError, embedMany, generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";
import {
  all, checkWeather, forEachVendor, prompt, question, runCases, settle, version,
} from "./cases.mjs";

const Weather = z.object({ city: z.string(), degrees: z.number().int().min(-90).max(60) });
const getWeather = tool({
  description: "Returns the weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: ({ city }) => `7 degrees in ${city}`,
});

/**
 * Runs the cases of a provider, which is in the npm package `name`.
 *
 * `use` ends the client's name. `checkAll` and `checkAllStreamed` check the text of the models
 * `all`, `race` has the options for a race of the models `slow, gpt`, and `providerOptions` those
 * of every other request.
 */
export async function runProvider(
  provider,
  { name, use = "", checkAll, checkAllStreamed, race = { model: provider("fast") }, providerOptions, more },
) {
  const ask = (model) => ({ model: provider(model), prompt, providerOptions });
  const raced = { model: provider("slow, gpt"), prompt, ...race };
  const agent = (model) => ({
    ...ask(model),
    prompt: question,
    stopWhen: isStepCount(3),
    tools: { get_weather: getWeather },
  });

  async function failure(model, status) {
    // The AI SDK does not heed `x-should-retry`.
    const error = await generateText({ ...ask(model), maxRetries: 0 }).catch((raised) => raised);
    assert.ok(APICallError.isInstance(error), error);
    assert.equal(error.statusCode, status);
    return `${error.name}: ${status}`;
  }

  await runCases(`ai ${version("ai")}, ${name} ${version(name)}${use}`, {
    async cancelled() {
      const abort = new AbortController();
      const { textStream } = streamText({ ...ask("endless"), abortSignal: abort.signal });
      let words = 0;
      for await (const _ of textStream) {
        if (++words === 3) abort.abort();
      }
      await settle();
      return `after ${words} words`;
    },
    async plain() {
      const answer = await generateText(ask("gpt"));
      assert.equal(answer.finishReason, "stop");
      assert.equal(answer.usage.outputTokens, 7);
      return answer.text;
    },
    async streamed() {
      const answer = streamText(ask("gpt"));
      const words = [];
      for await (const word of answer.textStream) words.push(word);
      assert.ok(words.length > 1);
      assert.equal((await answer.usage).outputTokens, 7);
      return words.join("");
    },
    "all, one fails": async () => checkAll((await generateText(ask(all))).text),
    "all, one fails, streamed": async () => checkAllStreamed(await streamText(ask(all)).text),
    async race() {
      const answer = await generateText(raced);
      assert.equal(answer.response.modelId, "gpt");
      return answer.text;
    },
    async "race, streamed"() {
      const text = await streamText(raced).text;
      assert.equal(text, "Hello from gpt-4o.");
      return text;
    },
    ...forEachVendor("tools", async (model) => {
      const first = await generateText(agent(model));
      checkWeather(first.text);
      const again = { role: "user", content: question };
      const messages = [again, ...first.response.messages, again];
      const { prompt: _, ...options } = agent(model);
      checkWeather((await generateText({ ...options, messages })).text);
      return checkWeather(await streamText(agent(model)).text);
    }),
    ...forEachVendor("structured", async (model) => {
      const answer = await generateText({ ...ask(model), output: Output.object({ schema: Weather }) });
      assert.deepEqual(answer.output, { city: "Oslo", degrees: 7 });
      return JSON.stringify(answer.output);
    }),
    ...more,
    "unknown model": () => failure("no-such-model", 404),
    error: () => failure("failing", 502),
  });
}

/** The case of a provider that has embeddings. */
export const embeddings = (provider) => ({
  async embeddings() {
    const model = provider.textEmbeddingModel("vectors");
    const { embeddings: found } = await embedMany({ model, values: ["a", "bb", "ccc"] });
    assert.deepEqual(found.map((one) => one[0]), [1, 2, 3]);
    return `${found.length} vectors`;
  },
});
