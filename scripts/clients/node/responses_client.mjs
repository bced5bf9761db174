// OpenAI's Node SDK with /v1/responses of the gateway at argv[2].
import assert from "node:assert/strict";
import OpenAI, { InternalServerError, NotFoundError } from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import {
  all as models, checkWeather, forEachVendor, prompt, question, runCases, settle, url, version,
} from "./cases.mjs";

const responses = new OpenAI({ baseURL: url, apiKey: "none" }).responses;
const all = { model: models, input: prompt };
const race = { model: "slow, gpt", input: prompt, fastest_response: true };
const Weather = z.object({ city: z.string(), degrees: z.number().int().min(-90).max(60) });
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tool = { type: "function", name: "get_weather", strict: true, parameters };

const ask = (body) => responses.create(body);
const askStreamed = (body) => responses.stream(body).finalResponse();

// The first response is the output, and the others are in `fanout`.
function checkEvery(answer) {
  const others = answer.fanout.responses;
  assert.match(answer.output_text, /^Hello from (slow|gpt-4o)\.$/);
  assert.deepEqual(others.map((one) => one.status).sort(), ["completed", "failed"]);
  return others.find((one) => one.error).error.message;
}

async function tools(model) {
  let text;
  for (const turn of [ask, askStreamed]) {
    const input = [{ role: "user", content: question }];
    const called = await turn({ model, input, tools: [tool] });
    input.push(...called.output);
    for (const call of called.output.filter((item) => item.type === "function_call")) {
      const output = `7 degrees in ${JSON.parse(call.arguments).city}`;
      input.push({ type: "function_call_output", call_id: call.call_id, output });
    }
    text = checkWeather((await turn({ model, input, tools: [tool] })).output_text);
  }
  return text;
}

async function failure(model, kind) {
  const error = await responses.create({ model, input: prompt }).catch((raised) => raised);
  assert.ok(error instanceof kind, error);
  return `${error.constructor.name}: ${error.status}`;
}

await runCases(`openai ${version("openai")}, responses`, {
  async cancelled() {
    let words = 0;
    for await (const event of await ask({ model: "endless", input: prompt, stream: true })) {
      if (event.type === "response.output_text.delta" && ++words > 3) break;
    }
    await settle();
    return `after ${words} words`;
  },
  async plain() {
    const answer = await ask({ model: "gpt", input: prompt });
    assert.equal(answer.model, "gpt");
    assert.equal(answer.usage.output_tokens, 7);
    return answer.output_text;
  },
  async streamed() {
    const stream = responses.stream({ model: "gpt", input: prompt });
    let words = 0;
    stream.on("response.output_text.delta", () => (words += 1));
    const answer = await stream.finalResponse();
    assert.ok(words > 1 && answer.usage.output_tokens === 7, JSON.stringify(answer));
    return answer.output_text;
  },
  "all, one fails": async () => checkEvery(await ask(all)),
  "all, one fails, streamed": async () => checkEvery(await askStreamed(all)),
  async race() {
    const answer = await ask(race);
    assert.deepEqual(answer.fanout.attempts.map((one) => one.outcome).sort(), ["cancelled", "won"]);
    assert.equal(answer.model, "gpt");
    return answer.output_text;
  },
  async "race, streamed"() {
    const answer = await askStreamed(race);
    assert.equal(answer.model, "gpt");
    return answer.output_text;
  },
  ...forEachVendor("tools", tools),
  ...forEachVendor("structured", async (model) => {
    const format = zodTextFormat(Weather, "weather");
    const answer = await responses.parse({ model, input: prompt, text: { format } });
    assert.deepEqual(answer.output_parsed, { city: "Oslo", degrees: 7 });
    return answer.output_text;
  }),
  "unknown model": () => failure("no-such-model", NotFoundError),
  error: () => failure("failing", InternalServerError),
});
