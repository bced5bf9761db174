/** Turns a CSV file, read in chunks, into the lines of a job; the rules of `bulk/input/csv_reader.py`. Pure. */

import { isBlank, stripped } from "./blanks.js";
import { MAX_CELL, RowParser } from "./csv-rows.js";
import { fillTemplate, hasValue } from "./template.js";

/** @typedef {import("./csv-rows.js").Row} Row */
/** @typedef {import("./csv-rows.js").Fault} Fault */

export const SEPARATORS = [",", ";", "\t", "|"];
const SAMPLE_ROWS = 20; // that are looked at to find the separator
const MAX_NAME = 60; // characters of a column's name in a message

/** Excel's own way to name the separator, in the first line. */
const FIRST_LINE = /^sep=([^"\r\n\0])(?:\r\n|\r|\n|$)/iu;

/** Reads the header, then the rows; each error names the row, the column and the line. */
export class CsvReader {
  /** @param {string} separator @param {{encoding?: string | null, hasFirstLine?: boolean}} options `encoding` is that of a damaged file */
  constructor(separator, { encoding = null, hasFirstLine = false } = {}) {
    this.blankRows = 0;
    this.rows = 0;
    /** @type {string[]} */ this.columns = [];
    /** @private */ this.skips = hasFirstLine;
    /** @private */ this.parser = new RowParser(separator, (fault) => this.error(fault), encoding);
  }

  /** Returns the rows that this chunk completes. @param {string} chunk */
  feed(chunk) {
    return this.check(this.parser.feed(chunk));
  }

  /** Returns the last row, if no line end follows it. */
  end() {
    return this.check(this.parser.end());
  }

  /** @private @param {Iterable<Row>} found */
  check(found) {
    /** @type {(Row & {number: number})[]} */
    const rows = [];
    for (const row of found) {
      if (this.skips) this.skips = false;
      else if (!row.cells.length) this.blankRows += 1;
      else if (!this.columns.length) this.columns = header(row);
      else {
        this.rows += 1;
        if (row.cells.length !== this.columns.length) throw this.ragged(row);
        rows.push({ ...row, number: this.rows });
      }
    }
    return rows;
  }

  /** @private @param {Row} row */
  ragged({ line, cells: { length } }) {
    const has = `row ${this.rows} has ${length} cell${length === 1 ? "" : "s"}, the header ${this.columns.length}`;
    const column = Math.min(length, this.columns.length);
    const reason =
      length > this.columns.length
        ? `column ${column + 1} has no name; cells with "${this.parser.separator}" need quotes`
        : `column ${column + 1}${this.name(column)} is missing`;
    return new Error(`${has}: ${reason} (line ${line})`);
  }

  /** @private @param {Fault} fault */
  error({ column, line, reason }) {
    const place = `column ${column + 1}${this.name(column)}, line ${line}`;
    const row = this.columns.length ? `row ${this.rows + 1}` : "the header";
    return new Error(`${row}, ${place}: ${reason}`);
  }

  /** Returns a column's name in brackets, if it has one. @private @param {number} column */
  name(column) {
    const name = this.columns[column];
    return name ? ` (${short(name)})` : "";
  }
}

/**
 * Returns the names of a header; throws if there is none, or one twice.
 *
 * A column without a name, such as an index, is skipped.
 * @param {Row} row
 */
function header({ line, cells }) {
  const names = cells.map(stripped);
  if (!names.some(Boolean)) throw new Error(`no column of the header has a name (line ${line})`);
  for (const [at, name] of names.entries()) {
    const first = names.indexOf(name);
    if (name && first < at)
      throw new Error(
        `the header has ${short(name)} twice: columns ${first + 1} and ${at + 1}; rename one of them (line ${line})`,
      );
  }
  return names;
}

/** Returns a column's name in a message. @param {string} name */
function short(name) {
  const line = [...name.replace(/\s+/g, " ")];
  return line.length > MAX_NAME
    ? `\`${line.slice(0, MAX_NAME).join("")}…\``
    : `\`${line.join("")}\``;
}

/**
 * Returns the separator of a file that begins with this text, and whether its first line names it.
 *
 * It is the one that gives the most of the first rows as many cells as the header; if several do,
 * the one that gives the header the most.
 * @param {string} sample @param {boolean} isWhole
 */
export function detectSeparator(sample, isWhole) {
  const named = FIRST_LINE.exec(sample);
  if (named) return { separator: named[1] ?? ",", isNamed: true };
  const ranked = SEPARATORS.map((separator) => {
    const [columns = { cells: [] }, ...rows] = sampleRows(sample, separator, isWhole);
    const count = columns.cells.length;
    const same = rows.filter((row) => row.cells.length === count).length;
    return { separator, count, share: count < 2 ? -1 : rows.length ? same / rows.length : 1 };
  });
  const best = ranked.reduce((one, next) =>
    next.share > one.share || (next.share === one.share && next.count > one.count) ? next : one,
  );
  return { separator: best.share < 0 ? "," : best.separator, isNamed: false };
}

/** @param {string} sample @param {string} separator @param {boolean} isWhole */
function sampleRows(sample, separator, isWhole) {
  const parser = new RowParser(separator, ({ reason }) => new Error(reason));
  /** @type {Row[]} */
  const rows = [];
  const isFilled = (/** @type {Row} */ row) => !isBlank(row.cells.join("")) || row.cells.length > 1;
  try {
    for (const row of parser.feed(sample)) {
      if (isFilled(row)) rows.push(row);
      if (rows.length > SAMPLE_ROWS) return rows;
    }
    if (isWhole) rows.push(...[...parser.end()].filter(isFilled));
  } catch {
    // what comes after an error does not count
  }
  return rows;
}

/**
 * Returns the column that most likely holds the prompt: by its name, otherwise the longest one.
 * @param {string[]} columns
 * @param {string[][]} rows
 */
export function guessPromptColumn(columns, rows) {
  const named = columns.find((name) => /prompt|question|text|input|message/i.test(name));
  const sizes = columns.map((name, at) =>
    name ? rows.reduce((sum, row) => sum + (row[at]?.length ?? 0), 0) : -1,
  );
  return named ?? columns[sizes.indexOf(Math.max(...sizes))] ?? "";
}

/**
 * @typedef {object} RowOptions
 * @property {string} system @property {number | null} [maxTokens] @property {number | null} [temperature]
 * @property {number | null} [limit] how many of the first rows are sent
 * @property {Record<string, any>} [fields] further fields of each request
 */

/**
 * Returns one line of a job's input; its `custom_id` is the number of the CSV's row.
 * @param {string} text
 * @param {RowOptions} options
 * @param {number} number
 */
export function jobLine(
  text,
  { system, maxTokens = null, temperature = null, fields = {} },
  number,
) {
  const messages = [
    ...(!isBlank(system) ? [{ role: "system", content: system }] : []),
    { role: "user", content: text },
  ];
  const parameters = {
    ...(maxTokens === null ? {} : { max_completion_tokens: maxTokens }),
    ...(temperature === null ? {} : { temperature }),
    ...fields,
  };
  return JSON.stringify({ custom_id: `row-${number}`, messages, ...parameters }) + "\n";
}

/**
 * Returns a job line for each row that gives a prompt, and what the user should know.
 * @param {AsyncIterable<string>} chunks @param {CsvReader} reader @param {string} template @param {RowOptions} options
 */
export async function csvToLines(chunks, reader, template, options) {
  const limit = options.limit ?? Infinity;
  /** @type {string[]} */
  const lines = [];
  let skipped = 0;
  let firstSkipped = 0;
  /** @param {(Row & {number: number})[]} found */
  const take = (found) => {
    for (const { number, line, cells } of found) {
      if (number > limit) return;
      const values = Object.fromEntries(reader.columns.map((name, at) => [name, cells[at] ?? ""]));
      const text = hasValue(template, values) ? fillTemplate(template, values) : "";
      const system = fillTemplate(options.system, values);
      if (!isBlank(text))
        lines.push(checked(jobLine(text, { ...options, system }, number), number, line));
      else {
        skipped += 1;
        firstSkipped ||= number;
      }
    }
  };
  for await (const chunk of chunks) take(reader.feed(chunk));
  take(reader.end());
  if (!reader.columns.length) throw new Error("the file is empty");
  if (!lines.length) throw new Error(reader.rows ? "no row has a prompt" : "the file has no rows");
  return { lines, notes: skippedNotes(reader.blankRows, skipped, firstSkipped) };
}

/** @param {string} text @param {number} number @param {number} line */
function checked(text, number, line) {
  const isLong = text.length > MAX_CELL / 3 && new TextEncoder().encode(text).length > MAX_CELL + 1;
  if (isLong) throw new Error(`row ${number}, line ${line}: over ${MAX_CELL / 2 ** 20} MiB`);
  return text;
}

/** @param {number} blank @param {number} skipped @param {number} first */
function skippedNotes(blank, skipped, first) {
  const count = (/** @type {number} */ number, /** @type {string} */ what) =>
    `${number} ${what}${number === 1 ? "" : "s"}`;
  const parts = [
    ...(blank ? [count(blank, "blank row")] : []),
    ...(skipped ? [`${count(skipped, "row")} without a prompt (the first is row ${first})`] : []),
  ];
  return parts.length ? [`${parts.join(" and ")} skipped`] : [];
}
