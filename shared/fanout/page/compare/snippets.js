/**
 * A run as others would ask it: curl, Python, JSON. The key is a variable, never its text. Pure.
 */

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").Lane} Lane */

/** For a shell: in single quotes, each inside it said outside. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** @param {string} base the address up to `/v1` @param {Run} run */
export function curl(base, run) {
  return run.asks
    .map(({ body }) =>
      [
        `curl -N ${quoted(`${base}/chat/completions`)}`,
        `-H "Authorization: Bearer $FANOUT_KEY"`,
        "-H 'Content-Type: application/json'",
        `-d ${quoted(JSON.stringify(body, null, 2))}`,
      ].join(" \\\n  "),
    )
    .join("\n\n");
}

/**
 * The official SDK; what OpenAI does not know goes into `extra_body`.
 * @param {string} base
 * @param {Run} run
 */
export function python(base, run) {
  const calls = run.asks.map(({ body }) => {
    const { messages, model, stream: _, stream_options, fastest_response, ...rest } = body;
    const more = Object.entries(rest).map(([name, value]) => `    ${name}=${literal(value)},\n`);
    return (
      "chunks = client.chat.completions.create(\n" +
      `    model=${literal(model.join(", "))},\n` +
      `    messages=${literal(messages, 1)},\n` +
      more.join("") +
      `    stream=True,\n    stream_options=${literal(stream_options)},\n` +
      (fastest_response ? `    extra_body=${literal({ fastest_response })},\n` : "") +
      ")\n" +
      "for chunk in chunks:\n    for choice in chunk.choices:\n" +
      '        print(choice.index, choice.delta.content or "", sep="\\t")\n' +
      '    if chunk.usage:\n        print(chunk.usage, (chunk.model_extra or {}).get("fanout"))\n'
    );
  });
  return (
    "import os\n\nfrom openai import OpenAI\n\n" +
    `client = OpenAI(base_url=${literal(base)}, api_key=os.environ.get("FANOUT_KEY", "none"))\n` +
    calls.join("\n")
  );
}

/** The requests, and what came of them. @param {Run} run */
export function results(run) {
  const answers = run.lanes.map((lane) => ({
    prompt: lane.prompt,
    model: lane.model,
    state: lane.state,
    text: lane.text,
    ...(lane.thought ? { reasoning: lane.thought } : {}),
    first_token_ms: rounded(lane.firstMs),
    duration_ms: rounded(lane.endMs === null ? null : lane.endMs - lane.startMs),
    finish_reason: lane.finish,
    usage: lane.usage,
    cost_usd: lane.cost,
    ...(lane.fault ? { error: { code: lane.fault.code, message: lane.fault.message } } : {}),
    chosen: run.choices[lane.prompt] === lane.model,
  }));
  const asked = new Date(run.at).toISOString();
  return JSON.stringify({ asked, requests: run.asks.map(({ body }) => body), answers }, null, 2);
}

/** @param {number | null} ms */
const rounded = (ms) => (ms === null ? null : Math.round(ms * 10) / 10);

/** A JSON value in Python's words. @param {any} value @param {number} [depth] @returns {string} */
function literal(value, depth = 0) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Array.isArray(value)
    ? value.map((one) => literal(one, depth + 1))
    : Object.entries(value).map(
        ([name, one]) => `${JSON.stringify(name)}: ${literal(one, depth + 1)}`,
      );
  const flat = `${open}${items.join(", ")}${close}`;
  if (flat.length <= 72 || depth > 3) return flat;
  const indent = "    ".repeat(depth + 1);
  return `${open}\n${items.map((item) => `${indent}${item},\n`).join("")}${"    ".repeat(depth)}${close}`;
}
