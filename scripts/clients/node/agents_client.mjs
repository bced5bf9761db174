// OpenAI's Agents SDK for Node, with each of its two APIs, against the gateway at argv[2].
import assert from "node:assert/strict";
import {
  Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, setTracingDisabled, tool, user,
} from "@openai/agents";
import OpenAI, { InternalServerError, NotFoundError } from "openai";
import { z } from "zod";
import {
  all, checkFirst, checkOne, checkWeather, forEachVendor, prompt, question, runCases, settle, url, version,
} from "./cases.mjs";

setTracingDisabled(true);
const client = new OpenAI({ baseURL: url, apiKey: "none" });
const apis = { "": OpenAIChatCompletionsModel, ", responses": OpenAIResponsesModel };
const runner = new Runner();
const Weather = z.object({ city: z.string(), degrees: z.number().int() });
const getWeather = tool({
  name: "get_weather",
  description: "Returns the weather in a city.",
  parameters: z.object({ city: z.string() }),
  execute: ({ city }) => `7 degrees in ${city}`,
});

for (const [use, Model] of Object.entries(apis)) {
  const agent = (model, options) =>
    new Agent({ name: "Forecaster", model: new Model(client, model), ...options });
  const run = async (made, input = prompt) => (await runner.run(made, input)).finalOutput;

  async function stream(made, input = prompt) {
    const result = await runner.run(made, input, { stream: true });
    const words = [];
    for await (const word of result.toTextStream()) words.push(word);
    await result.completed;
    return { words, text: result.finalOutput };
  }

  async function failure(model, kind) {
    const error = await run(agent(model)).catch((raised) => raised);
    assert.ok(error instanceof kind, error);
    return `${error.constructor.name}: ${error.status}`;
  }

  await runCases(`@openai/agents ${version("@openai/agents")}${use}`, {
    async cancelled() {
      const abort = new AbortController();
      const options = { stream: true, signal: abort.signal };
      let words = 0;
      for await (const _ of (await runner.run(agent("endless"), prompt, options)).toTextStream()) {
        if (++words === 3) break;
      }
      abort.abort();
      await settle();
      return `after ${words} words`;
    },
    plain: () => run(agent("gpt")),
    async streamed() {
      const { words, text } = await stream(agent("gpt"));
      assert.ok(words.length > 1);
      assert.equal(text, "Hello from gpt-4o.");
      return text;
    },
    "all, one fails": async () => checkFirst(await run(agent(all))),
    "all, one fails, streamed": async () => checkOne((await stream(agent(all))).text),
    async race() {
      const modelSettings = { providerData: { fastest_response: true } };
      const text = await run(agent("slow, gpt", { modelSettings }));
      assert.equal(text, "Hello from gpt-4o.");
      return text;
    },
    // A run, a second question in the same conversation, and a streamed run.
    ...forEachVendor("tools", async (model) => {
      const made = agent(model, { tools: [getWeather] });
      const first = await runner.run(made, question);
      checkWeather(first.finalOutput);
      checkWeather(await run(made, [...first.history, user(question)]));
      return checkWeather((await stream(made, question)).text);
    }),
    ...forEachVendor("structured", async (model) => {
      const found = await run(agent(model, { outputType: Weather }));
      assert.deepEqual(found, { city: "Oslo", degrees: 7 });
      return JSON.stringify(found);
    }),
    "unknown model": () => failure("no-such-model", NotFoundError),
    error: () => failure("failing", InternalServerError),
  });
}
