/**
 * A client for the gateway's public API: requests, streamed responses and file uploads.
 *
 * It keeps the API key in this tab's session storage, sends the key only with these requests, and
 * reports through `connection` when the gateway becomes unreachable and when it is back.
 */

import { EventParser } from "./sse.js";

/**
 * @typedef {{status: number, code: string | null, message: string, retryAfter?: number | null}} ErrorInfo
 * `status` is 0 if there was no HTTP response; `retryAfter` is in seconds
 */

const KEY_ITEM = "fanout.key";
const RETRY_MS = 2000; // between two health checks while the gateway is unreachable
const PART_BYTES = 4_000_000; // of one part of an upload: AWS accepts 6 MB in a request
const PARALLEL_PARTS = 3;

/** Where the API is. On AWS the page itself is at `…/v1/` (the stage); elsewhere the API is at `v1/`. */
export const API_URL = new URL(
  location.pathname.endsWith("/v1/") ? "." : "v1/",
  document.baseURI.replace(/#.*$/, ""),
);

/** A request that failed. */
export class ApiError extends Error {
  /** @param {ErrorInfo & {causes?: any[], attempts?: any[]}} info `causes` has one error per model if all failed */
  constructor(info) {
    super(info.message);
    this.info = info;
  }
}

/**
 * Sends `offline` when the gateway cannot be reached, `online` when it is back, and `unauthorized`
 * when it rejects the API key or asks for one.
 */
export const connection = new EventTarget();

let isOffline = false;

export const apiKey = {
  get: () => sessionStorage.getItem(KEY_ITEM) ?? "",
  /** @param {string} text */
  set(text) {
    if (text) sessionStorage.setItem(KEY_ITEM, text);
    else sessionStorage.removeItem(KEY_ITEM);
  },
};

/**
 * Sends one request. Throws `ApiError` unless the status is 2xx.
 * @param {string} path below `/v1/`
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
export async function request(path, options = {}) {
  const headers = new Headers(options.headers);
  if (apiKey.get()) headers.set("authorization", `Bearer ${apiKey.get()}`);
  /** @type {Response} */
  let response;
  try {
    response = await fetch(new URL(path, API_URL), {
      ...options,
      headers,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    throw networkError(error);
  }
  markOnline();
  if (response.ok) return response;
  throw await httpError(response);
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
export async function requestJson(path, options) {
  const response = await request(path, options);
  try {
    return await response.json();
  } catch (error) {
    throw networkError(error);
  }
}

/** @param {string} path @param {unknown} body @returns {Promise<any>} */
export const postJson = (path, body) => requestJson(path, jsonOptions(body));

/**
 * @param {unknown} body @param {AbortSignal} [signal] @param {Record<string, string>} [more] headers
 * @returns {RequestInit}
 */
function jsonOptions(body, signal, more) {
  const headers = { "content-type": "application/json", ...more };
  return { method: "POST", headers, body: JSON.stringify(body), ...(signal ? { signal } : {}) };
}

/**
 * Yields the chunks of a streamed chat completion, until `[DONE]` or an error chunk.
 * @param {unknown} body
 * @param {AbortSignal} signal
 * @param {string} id the request's
 */
export async function* streamChunks(body, signal, id) {
  const options = jsonOptions(body, signal, { "x-request-id": id });
  const response = await request("chat/completions", options);
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  for (;;) {
    let next;
    try {
      next = await reader.read();
    } catch (error) {
      throw networkError(error, "connection_lost");
    }
    const events = parser.feed(next.done ? "" : decoder.decode(next.value, { stream: true }));
    for (const data of events) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      yield chunk;
      if (chunk.error) return;
    }
    if (next.done) throw networkError(new Error("the stream ended early"), "connection_lost");
  }
}

/** @param {Response} response @returns {Promise<ApiError>} */
async function httpError(response) {
  const body = await response.json().catch(() => ({}));
  const error = body.error ?? {};
  const seconds = Number(response.headers.get("retry-after"));
  if (response.status === 401) connection.dispatchEvent(new Event("unauthorized"));
  return new ApiError({
    status: response.status,
    code: error.code ?? null,
    message: String(error.message ?? body.message ?? ""),
    causes: error.causes,
    ...(error.attempts ? mismatchOf(error) : {}),
    retryAfter: Number.isFinite(seconds) && seconds > 0 ? seconds : null,
  });
}

/** What the error of a response that does not fit a schema also has. @param {any} error */
const mismatchOf = ({ text, reason, attempts }) => ({ text, reason, attempts });

/**
 * The error of a request that got no complete response. Unless the user stopped the request, the
 * gateway counts as unreachable from now on.
 * @param {unknown} error
 * @param {string | null} [code]
 * @returns {ApiError}
 */
function networkError(error, code = null) {
  if (error instanceof DOMException && error.name === "AbortError") {
    return new ApiError({ status: 0, code: "stopped", message: "" });
  }
  if (!isOffline) {
    isOffline = true;
    connection.dispatchEvent(new Event("offline"));
    setTimeout(checkHealth, RETRY_MS);
  }
  return new ApiError({ status: 0, code, message: "" });
}

function markOnline() {
  if (!isOffline) return;
  isOffline = false;
  connection.dispatchEvent(new Event("online"));
}

/** Check every two seconds until the gateway responds, and at once when the browser goes online. */
async function checkHealth() {
  if (!isOffline) return;
  try {
    await fetch(new URL("health", API_URL), { cache: "no-store", credentials: "omit" });
    markOnline();
  } catch {
    setTimeout(checkHealth, RETRY_MS); // still unreachable, which is already shown
  }
}
addEventListener("online", () => void checkHealth());

// ---- files ----

/**
 * Upload a job's input file; one larger than 4 MB goes up in parts.
 * @param {Blob} blob
 * @param {string} name
 * @param {(share: number) => void} progress called with 0 to 1 after each part
 */
export async function uploadFile(blob, name, progress) {
  if (blob.size <= PART_BYTES) {
    const form = new FormData();
    form.append("purpose", "batch");
    form.append("file", blob, name);
    return requestJson("files", { method: "POST", body: form });
  }
  const { id } = await postJson("uploads", {
    filename: name,
    purpose: "batch",
    bytes: blob.size,
    mime_type: "application/jsonl",
  });
  /** @type {string[]} */
  const parts = new Array(Math.ceil(blob.size / PART_BYTES));
  let next = 0;
  let done = 0;
  const sendParts = async () => {
    while (next < parts.length) {
      const at = next++;
      const form = new FormData();
      form.append("data", blob.slice(at * PART_BYTES, (at + 1) * PART_BYTES));
      parts[at] = (await requestJson(`uploads/${id}/parts`, { method: "POST", body: form })).id;
      progress(++done / parts.length);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_PARTS }, sendParts));
  return (await postJson(`uploads/${id}/complete`, { part_ids: parts })).file;
}
