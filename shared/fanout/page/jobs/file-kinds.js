/** Names files that are no text by their first bytes; the rules of `bulk/input/file_kinds.py`. Pure. */

/** Bytes from a file's start that show its kind. */
export const HEAD = 4096;

const SAVE_CSV = "save it as CSV";
const EXPORT = "write it as CSV or JSONL, for example with pandas or DuckDB";
const UNPACK = "unpack it first, or compress the file with gzip";
const IMAGE = "put images into the messages of JSONL lines, as `image_url`";
const MEDIA = "put it into the messages of JSONL lines, as base64";

const EXCEL = `an Excel workbook: ${SAVE_CSV}`;
const PARQUET = `a Parquet file: ${EXPORT}`;

/** @type {[number, string, string][]} offset, characters (each is a byte), and what it is */
const MAGIC = [
  [0, "\xff\xfe\0\0", "UTF-32 text: save it as UTF-8"],
  [0, "\0\0\xfe\xff", "UTF-32 text: save it as UTF-8"],
  [0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", `an old Excel or Word file: ${SAVE_CSV}`],
  [0, "PAR1\x15", PARQUET],
  [0, "ARROW1\0\0", `an Arrow file: ${EXPORT}`],
  [0, "Obj\x01", `an Avro file: ${EXPORT}`],
  [0, "SQLite format 3\0", "an SQLite database: export a table as CSV"],
  [0, "%PDF-", "a PDF: copy its text into a text or CSV file"],
  [0, "{\\rtf", "a rich text file: save it as plain text"],
  [0, "\x89PNG\r\n\x1a\n", `a PNG image: ${IMAGE}`],
  [0, "\xff\xd8\xff", `a JPEG image: ${IMAGE}`],
  [0, "GIF87a", `a GIF image: ${IMAGE}`],
  [0, "GIF89a", `a GIF image: ${IMAGE}`],
  [0, "II*\0", `a TIFF image: ${IMAGE}`],
  [0, "MM\0*", `a TIFF image: ${IMAGE}`],
  [8, "WEBP", `a WebP image: ${IMAGE}`],
  [8, "WAVE", `a WAV sound: ${MEDIA}`],
  [4, "ftyp", `a video or a HEIC image: ${MEDIA}`],
  [0, "OggS\0", `an Ogg sound: ${MEDIA}`],
  [0, "BZh91AY&SY", `a bzip2 file: ${UNPACK}`],
  [0, "\xfd7zXZ\0", `an xz file: ${UNPACK}`],
  [0, "\x28\xb5\x2f\xfd", `a zstd file: ${UNPACK}`],
  [0, "7z\xbc\xaf\x27\x1c", `a 7-Zip archive: ${UNPACK}`],
  [0, "Rar!\x1a\x07", `a RAR archive: ${UNPACK}`],
  [257, "ustar", "a tar archive: unpack it first"],
];

/** @type {Record<string, string>} how a file begins whose characters above are further on */
const STARTS = { WEBP: "RIFF", WAVE: "RIFF", ftyp: "\0\0\0" };

/**
 * Returns what the file is and what to do instead, or null if it may be text.
 * @param {Uint8Array} head @param {string} name
 */
export function kindOf(head, name) {
  const text = Array.from(head.subarray(0, HEAD), (byte) => String.fromCharCode(byte)).join("");
  const lower = name.toLowerCase();
  if (text.startsWith("PK\x03\x04") || text.startsWith("PK\x05\x06")) return kindOfZip(text, lower);
  if (text.startsWith("PAR1") && lower.endsWith(".parquet")) return PARQUET;
  const found = MAGIC.find(
    ([offset, magic]) => text.startsWith(magic, offset) && text.startsWith(STARTS[magic] ?? ""),
  );
  return found ? found[2] : null;
}

/** Office's files are ZIP archives. @param {string} text @param {string} name */
function kindOfZip(text, name) {
  if (/\.xls[xm]$/.test(name) || text.includes("xl/")) return EXCEL;
  if (name.endsWith(".docx") || text.includes("word/"))
    return "a Word document: save it as plain text";
  if (text.startsWith("[Content_Types].xml", 30)) return EXCEL;
  if (text.includes("application/vnd.oasis.opendocument"))
    return `an OpenDocument file: ${SAVE_CSV}`;
  return `a ZIP archive: ${UNPACK}`;
}
