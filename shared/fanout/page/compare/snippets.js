/**
 * A run as code for other clients: curl, Python and JSON. The code reads the API key from a
 * variable and never contains it. Pure.
 */

/** @typedef {import("./run.js").Run} Run */

/** Quotes a text for a POSIX shell. @param {string} text */
const shellQuote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** @param {string} base the API's URL up to `/v1` @param {Run} run */
export function curlSnippet(base, run) {
  return run.requests
    .map(({ body }) =>
      [
        `curl -N ${shellQuote(`${base}/chat/completions`)}`,
        `-H "Authorization: Bearer $FANOUT_KEY"`,
        "-H 'Content-Type: application/json'",
        `-d ${shellQuote(JSON.stringify(body, null, 2))}`,
      ].join(" \\\n  "),
    )
    .join("\n\n");
}

/**
 * For OpenAI's SDK; parameters that the SDK does not know go into `extra_body`.
 * @param {string} base
 * @param {Run} run
 */
export function pythonSnippet(base, run) {
  const calls = run.requests.map(({ body }) => {
    const { messages, model, stream: _, stream_options, fastest_response, fanout, ...rest } = body;
    const extra = {
      ...(fastest_response ? { fastest_response } : {}),
      ...(fanout ? { fanout } : {}),
    };
    const more = Object.entries(rest).map(
      ([name, value]) => `    ${name}=${pythonLiteral(value, 1)},\n`,
    );
    return (
      "chunks = client.chat.completions.create(\n" +
      `    model=${pythonLiteral(model.join(", "))},\n` +
      `    messages=${pythonLiteral(messages, 1)},\n` +
      more.join("") +
      `    stream=True,\n    stream_options=${pythonLiteral(stream_options)},\n` +
      (Object.keys(extra).length ? `    extra_body=${pythonLiteral(extra, 1)},\n` : "") +
      ")\n" +
      "for chunk in chunks:\n    for choice in chunk.choices:\n" +
      '        print(choice.index, choice.delta.content or "", sep="\\t")\n' +
      '    if chunk.usage:\n        print(chunk.usage, (chunk.model_extra or {}).get("fanout"))\n'
    );
  });
  const key = 'os.environ.get("FANOUT_KEY", "none")';
  return (
    "import os\n\nfrom openai import OpenAI\n\n" +
    `client = OpenAI(base_url=${pythonLiteral(base)}, api_key=${key})\n` +
    calls.join("\n")
  );
}

/** The requests and the responses as JSON. @param {Run} run */
export function jsonResults(run) {
  const responses = run.legs.map((leg) => ({
    prompt: leg.prompt,
    model: leg.model,
    state: leg.state,
    text: leg.text,
    ...(leg.reasoning ? { reasoning: leg.reasoning } : {}),
    first_token_ms: roundMs(leg.firstTokenMs),
    duration_ms: roundMs(leg.endMs === null ? null : leg.endMs - leg.startMs),
    finish_reason: leg.finishReason,
    usage: leg.usage,
    cost_usd: leg.cost,
    ...(leg.check ? { check: checkResults(leg.check) } : {}),
    ...(leg.error ? { error: { code: leg.error.code, message: leg.error.message } } : {}),
    chosen: run.choices[leg.prompt] === leg.model,
  }));
  const asked = new Date(run.at).toISOString();
  const requests = run.requests.map(({ body }) => body);
  const decisions = run.results
    .filter((result) => result !== null)
    .map(({ prompt, model, text, cost, decision }) => ({
      prompt,
      model,
      text,
      cost_usd: cost,
      ...decision,
    }));
  const decided = decisions.length ? { decisions } : {};
  return JSON.stringify({ asked, requests, answers: responses, ...decided }, null, 2); // the key of old exports
}

/** @param {import("./checked-calls.js").Check} check */
const checkResults = ({ isValid, reason, calls }) => ({
  valid: isValid,
  ...(reason ? { reason } : {}),
  calls: calls.map((call) => ({
    model: call.model,
    outcome: call.outcome,
    duration_ms: call.durationMs,
    completion_tokens: call.tokens,
    cost_usd: call.cost,
    ...(call.reason ? { reason: call.reason } : {}),
  })),
});

/** @param {number | null} ms */
const roundMs = (ms) => (ms === null ? null : Math.round(ms * 10) / 10);

/** A JSON value as a Python literal. @param {any} value @param {number} [depth] @returns {string} */
function pythonLiteral(value, depth = 0) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Array.isArray(value)
    ? value.map((item) => pythonLiteral(item, depth + 1))
    : Object.entries(value).map(
        ([name, item]) => `${JSON.stringify(name)}: ${pythonLiteral(item, depth + 1)}`,
      );
  const flat = `${open}${items.join(", ")}${close}`;
  if (flat.length <= 72 || depth > 3) return flat;
  const indent = "    ".repeat(depth + 1);
  const lines = items.map((item) => `${indent}${item},\n`).join("");
  return `${open}\n${lines}${"    ".repeat(depth)}${close}`;
}
