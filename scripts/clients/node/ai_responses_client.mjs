// Vercel's AI SDK with @ai-sdk/openai, whose default is /v1/responses, against the gateway at argv[2].
import { createOpenAI } from "@ai-sdk/openai";
import { embeddings, runProvider } from "./ai_cases.mjs";
import { checkOne, url } from "./cases.mjs";

const provider = createOpenAI({ baseURL: url, apiKey: "none" });

await runProvider(provider, {
  name: "@ai-sdk/openai",
  use: ", responses",
  checkAll: checkOne,
  checkAllStreamed: checkOne,
  providerOptions: { openai: { store: false } }, // so that reasoning is sent back whole
  more: embeddings(provider),
});
