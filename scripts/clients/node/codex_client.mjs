// OpenAI's Codex, by `codex exec`, against the gateway at argv[2].
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkWeather, forEachVendor, prompt, question, runCases, url, version } from "./cases.mjs";
import { folder, output, packages, start, weatherSchema } from "./cli_cases.mjs";

const codex = join(packages, ".bin", "codex");
const settings = `
model_provider = "fanout"

[model_providers.fanout]
name = "Fanout"
base_url = "${url}"
env_key = "FANOUT_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false
`;
const schema = join(folder, "schema.json");
writeFileSync(join(folder, "config.toml"), settings);
writeFileSync(schema, JSON.stringify(weatherSchema));

/** The events that `codex exec` prints. */
async function run(model, ...words) {
  const options = ["--json", "--skip-git-repo-check", "--model", model];
  const env = { CODEX_HOME: folder, FANOUT_KEY: "none" };
  return output(start(codex, ["exec", ...options, ...words], env));
}

/** The last text of the model. */
async function ask(model, ...words) {
  const events = await run(model, ...words);
  const { usage } = events.at(-1);
  assert.ok(usage, JSON.stringify(events.at(-1)));
  return events.findLast((event) => event.item?.type === "agent_message").item.text;
}

async function failure(model, message) {
  const { type, error } = (await run(model, prompt)).at(-1);
  assert.equal(type, "turn.failed");
  assert.match(error.message, message);
  return error.message;
}

await runCases(`@openai/codex ${version("@openai/codex")}`, {
  async streamed() {
    const text = await ask("gpt", prompt);
    assert.equal(text, "Hello from gpt-4o.");
    return text;
  },
  async "race, streamed"() {
    const text = await ask("fast", prompt);
    assert.equal(text, "Hello from gpt-4o.");
    return text;
  },
  // The tool is a command; the second question goes on with the conversation.
  ...forEachVendor("tools", async (model) => {
    checkWeather(await ask(model, question));
    checkWeather(await ask(model, "resume", "--last", question));
    return "two commands, twice";
  }),
  async "tools, vendors in turn"() {
    checkWeather(await ask("gpt", question));
    const models = ["thinker", "gemini", "claude", "gpt", "thinker"];
    for (const model of models) checkWeather(await ask(model, "resume", "--last", question));
    return `${1 + models.length} questions`;
  },
  ...forEachVendor("structured", async (model) => {
    const text = await ask(model, "--output-schema", schema, prompt);
    assert.deepEqual(JSON.parse(text), { city: "Oslo", degrees: 7 });
    return text;
  }),
  "unknown model": () => failure("no-such-model", /there is no model `no-such-model`/),
  error: () => failure("failing", /the model is broken/),
});
