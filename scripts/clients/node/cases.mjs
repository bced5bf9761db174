// What the Node clients share: runs each case and prints its result as one JSON line.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

export const url = process.argv[2];
export const prompt = "Say hello.";
export const question = "What is the weather in Oslo and in Bergen?";
export const vendors = { OpenAI: "gpt", Anthropic: "claude", Gemini: "gemini" };
export const all = "slow, broken, gpt";

/** The version of an installed package. */
export function version(name) {
  const about = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(about)).version;
}

/** Checks that the text has the tool's result for both cities, and returns it. */
export function checkWeather(text) {
  assert.match(text, /7 degrees in Oslo/);
  assert.match(text, /7 degrees in Bergen/);
  return text;
}

/** Checks the choices of `slow, broken, gpt`, of which the second fails. */
export function checkAll(choices) {
  assert.deepEqual(choices.map((choice) => choice.finish_reason), ["stop", "stop", "stop"]);
  const texts = choices.map((choice) => choice.message.content ?? "");
  assert.deepEqual(texts, ["Hello from slow.", "", "Hello from gpt-4o."]);
  assert.deepEqual(choices.map((choice) => Boolean(choice.message.refusal)), [false, true, false]);
  return choices[1].message.refusal;
}

/** Checks the text of a client that returns one choice of the models `all`, and returns it. */
export function checkFirst(text) {
  assert.equal(text, "Hello from slow.");
  return text;
}

/** Checks the text of a client that returns one response of the models `all`, and returns it. */
export function checkOne(text) {
  assert.match(text, /^Hello from (slow|gpt-4o)\.$/);
  return text;
}

/** Checks the text of a client that takes all chunks for those of one choice. */
export function checkMixed(text) {
  for (const word of ["Hello", "from", "slow.", "gpt-4o."]) assert.ok(text.includes(word), text);
  return "mixed";
}

/** One case for each kind of upstream; `run` gets the model name. */
export function forEachVendor(name, run) {
  const models = name === "tools" ? { ...vendors, "Claude that thinks": "thinker" } : vendors;
  const bound = Object.entries(models).map(([vendor, model]) => [vendor, () => run(model)]);
  return Object.fromEntries(bound.map(([vendor, one]) => [`${name}, ${vendor}`, one]));
}

/** Runs each case, which returns a text to show. */
export async function runCases(client, cases) {
  for (const [what, run] of Object.entries(cases)) {
    const line = { client: `${client} (Node)`, case: what, result: "", fault: "" };
    try {
      line.result = String(await run());
    } catch (error) {
      line.fault = String(error);
    }
    console.log(JSON.stringify(line));
  }
}

/** Gives the gateway the time to disconnect from the upstream. */
export const settle = () => setTimeout(300);
