/**
 * The gateway's public API, and nothing else: where it is, the key, and whether it is there.
 *
 * The key lives in this tab's session storage, and goes into the header of these requests only.
 */

import { Events } from "./sse.js";

/**
 * @typedef {{status: number, code: string | null, message: string, retryAfter?: number | null}} Fault
 */

const KEY = "fanout.key";
const PATIENCE = 2000; // ms between two looks for a gateway that was lost
const PART = 4_000_000; // bytes of a part of an upload: AWS takes 6 MB in a request
const AT_ONCE = 3;

/** Where the API is: below the page on AWS, whose stage is `v1`, else at `/v1`. */
export const BASE = new URL(
  location.pathname.endsWith("/v1/") ? "." : "v1/",
  document.baseURI.replace(/#.*$/, ""),
);

/** A request that did not succeed. */
export class ApiError extends Error {
  /** @param {Fault & {causes?: any[]}} fault */
  constructor(fault) {
    super(fault.message);
    this.fault = fault;
  }
}

/**
 * What the parts of the page hear: `lost` and `found` the connection, `locked` for want of a key.
 */
export const news = new EventTarget();

let isLost = false;

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  /** @param {string} text */
  set(text) {
    if (text) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
  },
};

/**
 * One request.
 * @param {string} path below `/v1/`
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (key.get()) headers.set("authorization", `Bearer ${key.get()}`);
  /** @type {Response} */
  let response;
  try {
    response = await fetch(new URL(path, BASE), {
      ...options,
      headers,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    throw lost(error);
  }
  found();
  if (response.ok) return response;
  throw await refusal(response);
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
export async function json(path, options) {
  const response = await ask(path, options);
  try {
    return await response.json();
  } catch (error) {
    throw lost(error);
  }
}

/** @param {string} path @param {unknown} body @returns {Promise<any>} */
export const post = (path, body) => json(path, posted(body));

/** @param {unknown} body @param {AbortSignal} [signal] @returns {RequestInit} */
function posted(body, signal) {
  const headers = { "content-type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body), ...(signal ? { signal } : {}) };
}

/**
 * The chunks of a streamed answer, until `[DONE]`.
 * @param {unknown} body
 * @param {AbortSignal} signal
 */
export async function* stream(body, signal) {
  const response = await ask("chat/completions", posted(body, signal));
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  const events = new Events();
  for (;;) {
    let next;
    try {
      next = await reader.read();
    } catch (error) {
      throw lost(error, "connection_lost");
    }
    const data = events.feed(next.done ? "" : decoder.decode(next.value, { stream: true }));
    for (const one of data) {
      if (one === "[DONE]") return;
      const chunk = JSON.parse(one);
      yield chunk;
      if (chunk.error) return;
    }
    if (next.done) throw lost(new Error("the stream ended early"), "connection_lost");
  }
}

/** @param {Response} response @returns {Promise<ApiError>} */
async function refusal(response) {
  const said = await response.json().catch(() => ({}));
  const error = said.error ?? {};
  const wait = Number(response.headers.get("retry-after"));
  if (response.status === 401) news.dispatchEvent(new Event("locked"));
  return new ApiError({
    status: response.status,
    code: error.code ?? null,
    message: String(error.message ?? said.message ?? ""),
    causes: error.causes,
    retryAfter: Number.isFinite(wait) && wait > 0 ? wait : null,
  });
}

/** @param {unknown} error @param {string | null} [code] @returns {ApiError} */
function lost(error, code = null) {
  if (error instanceof DOMException && error.name === "AbortError") {
    return new ApiError({ status: 0, code: "stopped", message: "" });
  }
  if (!isLost) {
    isLost = true;
    news.dispatchEvent(new Event("lost"));
    setTimeout(look, PATIENCE);
  }
  return new ApiError({ status: 0, code, message: "" });
}

function found() {
  if (!isLost) return;
  isLost = false;
  news.dispatchEvent(new Event("found"));
}

/** Look for the gateway until it is there again; a browser that goes online looks at once. */
async function look() {
  if (!isLost) return;
  try {
    await fetch(new URL("health", BASE), { cache: "no-store", credentials: "omit" });
    found();
  } catch {
    setTimeout(look, PATIENCE); // still away: that was told already
  }
}
addEventListener("online", () => void look());

// ---- files ----

/**
 * Upload a job's file, a big one in parts.
 * @param {Blob} blob
 * @param {string} name
 * @param {(share: number) => void} progress
 */
export async function upload(blob, name, progress) {
  if (blob.size <= PART) {
    const form = new FormData();
    form.append("purpose", "batch");
    form.append("file", blob, name);
    return json("files", { method: "POST", body: form });
  }
  const asked = {
    filename: name,
    purpose: "batch",
    bytes: blob.size,
    mime_type: "application/jsonl",
  };
  const { id } = await post("uploads", asked);
  /** @type {string[]} */
  const parts = new Array(Math.ceil(blob.size / PART));
  let next = 0;
  let done = 0;
  const send = async () => {
    while (next < parts.length) {
      const at = next++;
      const form = new FormData();
      form.append("data", blob.slice(at * PART, (at + 1) * PART));
      parts[at] = (await json(`uploads/${id}/parts`, { method: "POST", body: form })).id;
      progress(++done / parts.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, send));
  return (await post(`uploads/${id}/complete`, { part_ids: parts })).file;
}
