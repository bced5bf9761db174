/** Reads the file of a new job, gzipped or not, in any encoding; the rules of `bulk/local/input_files.py`. */

import { decode, detectEncoding, firstBytes, isDamaged, shown } from "./encodings.js";
import { HEAD, kindOf } from "./file-kinds.js";

const MAX_BYTES = 8 * 1024 ** 3; // of a gzip file when unpacked, as of an upload

/** @typedef {{read: () => AsyncIterable<Uint8Array>, isGzip: boolean, encoding: string, isDamaged: boolean, notes: string[]}} InputFile */

/**
 * Opens the file and finds its encoding, unless one is named; throws if it is no text.
 * @param {File} file @param {string} [named]
 * @returns {Promise<InputFile>}
 */
export async function openInput(file, named = "") {
  const start = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  const isGzip = start[0] === 0x1f && start[1] === 0x8b;
  const read = () => bytesOf(file, isGzip);
  const kind = kindOf(await firstBytes(read, HEAD), file.name);
  if (kind) throw new Error(`\`${file.name}\` is ${kind}`);
  const found = named
    ? { encoding: named, isDamaged: await isDamaged(read, named) }
    : await detectEncoding(read);
  const isReported = !named && found.encoding !== "utf-8";
  const notes = isReported ? [`\`${file.name}\` is read as ${shown(found.encoding)}`] : [];
  return { read, isGzip, ...found, notes };
}

/**
 * Returns a JSONL file as UTF-8, and what the user should know.
 * Bytes that are no UTF-8 stay: the gateway's error names their line.
 * @param {File} file
 * @returns {Promise<{blob: Blob, notes: string[]}>}
 */
export async function jsonLines(file) {
  const input = await openInput(file);
  const head = new TextDecoder("latin1").decode(await firstBytes(input.read, HEAD));
  const hasOnlyReturns = head.includes("\r") && !head.includes("\n");
  const isUtf8 = input.encoding === "utf-8";
  if (isUtf8 && !input.isGzip && !hasOnlyReturns) return { blob: file, notes: [] };
  /** @type {BlobPart[]} */
  const parts = [];
  if (isUtf8 && !hasOnlyReturns) for await (const bytes of input.read()) parts.push(copy(bytes));
  else
    for await (const text of decode(input.read(), input.encoding))
      parts.push(hasOnlyReturns ? text.replaceAll("\r", "\n") : text);
  return { blob: new Blob(parts), notes: input.notes };
}

/** @param {Uint8Array} bytes */
const copy = (bytes) => new Uint8Array(bytes);

/** @param {File} file @param {boolean} isGzip @returns {AsyncGenerator<Uint8Array>} */
async function* bytesOf(file, isGzip) {
  if (!isGzip) {
    yield* chunksOf(file.stream());
    return;
  }
  let size = 0;
  try {
    const unpacked = file.stream().pipeThrough(new DecompressionStream("gzip"));
    for await (const bytes of chunksOf(unpacked)) {
      size += bytes.length;
      if (size > MAX_BYTES) break;
      yield bytes;
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Error(`\`${file.name}\`: the gzip file is damaged, or its end is missing`);
  }
  if (size > MAX_BYTES) throw new Error(`\`${file.name}\` has over 8 GiB when unpacked; divide it`);
}

/** @param {ReadableStream<Uint8Array>} stream @returns {AsyncGenerator<Uint8Array>} */
async function* chunksOf(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined); // if the rest is not read
  }
}
