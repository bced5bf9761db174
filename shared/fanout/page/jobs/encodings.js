/** Finds a file's encoding; the rules of `bulk/input/text_encodings.py`. Pure. */

/** @type {[string, number[]][]} */
const MARKS = [
  ["utf-8", [0xef, 0xbb, 0xbf]],
  ["utf-16-le", [0xff, 0xfe]],
  ["utf-16-be", [0xfe, 0xff]],
];

/** @type {Record<string, string>} the names of encodings in messages, if others than our own */
const SHOWN = { "utf-8": "UTF-8", "utf-16-le": "UTF-16 LE", "utf-16-be": "UTF-16 BE" };

/** @type {Record<string, string>} the browsers' labels, if others than our own */
const LABELS = { "utf-16-le": "utf-16le", "utf-16-be": "utf-16be", cp1252: "windows-1252" };

/** The encodings that a user can name. */
export const ENCODINGS = [
  ...["utf-8", "utf-16-le", "utf-16-be", "cp1252", "windows-1250", "windows-1251"],
  ...["iso-8859-2", "iso-8859-15", "shift_jis", "euc-jp", "euc-kr", "gb18030", "big5"],
];

/** What stands for bytes that the encoding does not have. */
export const BAD = "\ufffd";

const SAMPLE = 128; // at most so many bytes show UTF-16 without a byte order mark
const LEAST = 4; // at least
const NOT_IN_CP1252 = [0x81, 0x8d, 0x8f, 0x90, 0x9d]; // bytes without a character
const RARE = 0xff; // common in what is no text, and rare as `ÿ`

/** Returns the encoding's name in messages. @param {string} encoding */
export const shown = (encoding) => SHOWN[encoding] ?? encoding;

/** Returns the encoding of the byte order mark at the file's start. @param {Uint8Array} head */
function markOf(head) {
  return MARKS.find(([, mark]) => mark.every((byte, at) => head[at] === byte))?.[0] ?? null;
}

/** UTF-16 if every other byte is NUL for the most part, and no other is. @param {Uint8Array} head */
function utf16WithoutMark(head) {
  const even = head.filter((_, at) => at % 2 === 0);
  const odd = head.filter((_, at) => at % 2 === 1);
  /** @type {[string, Uint8Array, Uint8Array][]} */
  const both = [
    ["utf-16-le", even, odd],
    ["utf-16-be", odd, even],
  ];
  const isFound = (/** @type {Uint8Array} */ letters, /** @type {Uint8Array} */ nuls) =>
    head.length >= LEAST &&
    !letters.includes(0) &&
    nuls.filter((byte) => byte === 0).length * 2 > nuls.length;
  return both.find(([, letters, nuls]) => isFound(letters, nuls))?.[0] ?? null;
}

/** Whether some bytes could be a character of UTF-8 beyond ASCII. @param {Uint8Array} bytes */
function hasUtf8Character(bytes) {
  const follows = (/** @type {number} */ at) => ((bytes[at] ?? 0) & 0xc0) === 0x80;
  return bytes.some((byte, at) => {
    const more =
      byte >= 0xc2 && byte <= 0xdf
        ? 1
        : (byte & 0xf0) === 0xe0
          ? 2
          : byte >= 0xf0 && byte <= 0xf4
            ? 3
            : 0;
    return more > 0 && [1, 2, 3].slice(0, more).every((next) => follows(at + next));
  });
}

/**
 * Returns a file's encoding, and whether it has bytes that the encoding does not have.
 *
 * A file that is not UTF-8 is cp1252 if none of it could be UTF-8; otherwise it is a damaged file.
 * @param {() => AsyncIterable<Uint8Array>} read
 * @returns {Promise<{encoding: string, isDamaged: boolean}>}
 */
export async function detectEncoding(read) {
  const head = await firstBytes(read, SAMPLE);
  const marked = markOf(head) ?? utf16WithoutMark(head);
  if (marked) return { encoding: marked, isDamaged: await isDamaged(read, marked) };
  if (!(await isDamaged(read, "utf-8"))) return { encoding: "utf-8", isDamaged: false };
  let tail = new Uint8Array();
  for await (const bytes of read()) {
    const joined = new Uint8Array([...tail, ...bytes.subarray(0, 3)]);
    const isUtf8 = hasUtf8Character(joined) || hasUtf8Character(bytes);
    if (isUtf8 || bytes.some((byte) => byte === RARE || NOT_IN_CP1252.includes(byte)))
      return { encoding: "utf-8", isDamaged: true };
    tail = bytes.slice(-3);
  }
  return { encoding: "cp1252", isDamaged: false };
}

/** @param {() => AsyncIterable<Uint8Array>} read @param {string} encoding */
export async function isDamaged(read, encoding) {
  if (encoding === "cp1252") {
    for await (const bytes of read())
      if (bytes.some((byte) => NOT_IN_CP1252.includes(byte))) return true;
    return false;
  }
  const decoder = new TextDecoder(LABELS[encoding] ?? encoding, { fatal: true });
  try {
    for await (const bytes of read()) decoder.decode(bytes, { stream: true });
    decoder.decode();
    return false;
  } catch (error) {
    if (error instanceof TypeError) return true;
    throw error;
  }
}

/** Yields the text without a mark. @param {AsyncIterable<Uint8Array>} chunks @param {string} encoding */
export async function* decode(chunks, encoding) {
  const decoder = new TextDecoder(LABELS[encoding] ?? encoding);
  const clean = (/** @type {string} */ text) =>
    encoding === "cp1252" ? text.replace(/[\x81\x8d\x8f\x90\x9d]/g, BAD) : text;
  for await (const bytes of chunks) yield clean(decoder.decode(bytes, { stream: true }));
  yield clean(decoder.decode());
}

/** @param {() => AsyncIterable<Uint8Array>} read @param {number} count */
export async function firstBytes(read, count) {
  let head = new Uint8Array();
  for await (const bytes of read()) {
    head = new Uint8Array([...head, ...bytes.subarray(0, count - head.length)]);
    if (head.length >= count) break;
  }
  return head;
}
