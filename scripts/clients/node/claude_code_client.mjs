// Claude Code, by `claude --print`, against the gateway at argv[2].
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import {
  checkWeather, forEachVendor, prompt, question, runCases, settle, url, version,
} from "./cases.mjs";
import { output, packages, start, weatherSchema } from "./cli_cases.mjs";

// Claude Code asks models with these names to think: as much as they like, and with a budget.
const names = { claude: "claude-opus-4-8", thinker: "claude-sonnet-4-5" };
// The program is in the package of this platform; npm would run a script to copy it.
const makers = join(packages, "@anthropic-ai");
const platform = readdirSync(makers).find((name) => name.startsWith("claude-code-"));
const program = join(makers, platform ?? "claude-code", "claude");

const env = {
  ANTHROPIC_BASE_URL: url.replace(/\/v1$/, ""),
  ANTHROPIC_AUTH_TOKEN: "none",
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  CLAUDE_CODE_MAX_RETRIES: "0",
};

function claude(model, ...words) {
  const options = ["--print", "--model", names[model] ?? model, "--allowedTools", "Bash(echo:*)"];
  return start(program, [...options, ...words], env);
}

/** The result that `claude --print` prints. */
async function ask(model, ...words) {
  const [result] = await output(claude(model, "--output-format", "json", ...words));
  return result;
}

async function text(model, ...words) {
  const answer = await ask(model, ...words);
  assert.equal(answer.is_error, false, answer.result);
  return answer.result;
}

async function failure(model, status) {
  const answer = await ask(model, prompt);
  assert.equal(answer.is_error, true);
  assert.equal(answer.api_error_status, status);
  return answer.result;
}

await runCases(`@anthropic-ai/claude-code ${version("@anthropic-ai/claude-code")}`, {
  async cancelled() {
    const format = ["--output-format", "stream-json", "--verbose", "--include-partial-messages"];
    const command = claude("endless", ...format, prompt);
    let printed = "";
    for await (const data of command.stdout) {
      printed += data;
      if (printed.split("text_delta").length > 3) break;
    }
    command.kill("SIGINT");
    await settle();
    return "by Ctrl-C";
  },
  async streamed() {
    const found = await text("gpt", prompt);
    assert.equal(found, "Hello from gpt-4o.");
    return found;
  },
  async "race, streamed"() {
    const found = await text("fast", prompt);
    assert.equal(found, "Hello from gpt-4o.");
    return found;
  },
  // The tool is a command; the second question goes on with the conversation.
  ...forEachVendor("tools", async (model) => {
    checkWeather(await text(model, question));
    checkWeather(await text(model, "--continue", question));
    return "two commands, twice";
  }),
  async "tools, vendors in turn"() {
    checkWeather(await text("gpt", question));
    const models = ["thinker", "gemini", "claude", "gpt", "thinker"];
    for (const model of models) checkWeather(await text(model, "--continue", question));
    return `${1 + models.length} questions`;
  },
  ...forEachVendor("structured", async (model) => {
    const schema = ["--json-schema", JSON.stringify(weatherSchema), "--tools", ""];
    const found = (await ask(model, prompt, ...schema)).structured_output;
    assert.deepEqual(found, { city: "Oslo", degrees: 7 });
    return JSON.stringify(found);
  }),
  "unknown model": () => failure("no-such-model", 404),
  error: () => failure("failing", 502),
});
