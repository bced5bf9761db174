// Vercel's AI SDK with @ai-sdk/openai-compatible against the gateway at argv[2].
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embeddings, runProvider } from "./ai_cases.mjs";
import { checkFirst, checkMixed, url } from "./cases.mjs";

const provider = createOpenAICompatible({
  name: "fanout",
  baseURL: url,
  apiKey: "none",
  includeUsage: true,
  supportsStructuredOutputs: true,
});

await runProvider(provider, {
  name: "@ai-sdk/openai-compatible",
  checkAll: checkFirst,
  checkAllStreamed: checkMixed,
  race: { providerOptions: { fanout: { fastest_response: true } } }, // by the provider's name
  more: embeddings(provider),
});
