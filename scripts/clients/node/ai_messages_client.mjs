// Vercel's AI SDK with @ai-sdk/anthropic, which calls /v1/messages, against the gateway at argv[2].
import { createAnthropic } from "@ai-sdk/anthropic";
import { runProvider } from "./ai_cases.mjs";
import { checkFirst, checkOne, url } from "./cases.mjs";

await runProvider(createAnthropic({ baseURL: url, apiKey: "none" }), {
  name: "@ai-sdk/anthropic",
  use: ", messages",
  checkAll: checkFirst,
  checkAllStreamed: checkOne,
});
