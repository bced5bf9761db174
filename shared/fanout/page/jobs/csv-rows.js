/** Parses the rows of a CSV as RFC 4180 has it, with any separator. Pure. */

import { isBlank } from "./blanks.js";
import { BAD, shown } from "./encodings.js";

export const MAX_CELL = 8 * 1024 * 1024; // also the bytes of a job's line

/** @typedef {{line: number, cells: string[]}} Row the line of the file where it begins, and its cells */
/** @typedef {{column: number, line: number, reason: string}} Fault the first bad cell of a row */

/** Parses rows from text that arrives in chunks; knows nothing of a header. */
export class RowParser {
  /** @param {string} separator @param {(fault: Fault) => Error} fail @param {string | null} encoding that of a damaged file */
  constructor(separator, fail, encoding = null) {
    this.separator = separator;
    this.line = 1;
    /** @private */ this.fail = fail;
    /** @private */ this.encoding = encoding;
    /** @private @type {Row} */ this.row = { line: 1, cells: [] };
    /** @private */ this.cell = "";
    /** @private */ this.cellLine = 1;
    /** @private @type {"start" | "plain" | "quoted" | "closed"} */ this.state = "start";
    /** @private */ this.hasQuote = false;
    /** @private */ this.wasReturn = false;
  }

  /** Yields the rows that this chunk completes; without cells, if they are blank. @param {string} chunk */
  *feed(chunk) {
    for (const char of chunk) {
      const row = this.take(char);
      if (row) yield row;
    }
  }

  /** Yields the last row, if no line end follows it. */
  *end() {
    if (this.state === "quoted") throw this.fault("a quoted cell is never closed");
    if (this.state !== "start" || this.row.cells.length) yield this.close();
  }

  /** @private @param {string} char @returns {Row | null} */
  take(char) {
    const isEnd = char === "\r" || char === "\n";
    const isSecond = char === "\n" && this.wasReturn;
    this.wasReturn = char === "\r";
    if (this.state === "quoted") {
      if (isEnd && !isSecond) this.line += 1;
      if (char === '"') this.state = "closed";
      else this.add(char);
      return null;
    }
    if (isSecond && this.state === "start" && !this.row.cells.length) return null;
    if (isEnd) {
      this.line += 1;
      return this.close();
    }
    if (char === this.separator) this.next();
    else if (char === '"' && this.state !== "plain") {
      if (this.state === "closed") this.add(char);
      this.state = "quoted";
      this.hasQuote = true;
    } else if (this.state === "closed") throw this.fault("text after a closing quote");
    else {
      this.state = "plain";
      this.add(char);
    }
    return null;
  }

  /** @private @param {string} char */
  add(char) {
    if (char === "\0") throw this.fault("a NUL byte");
    if (char === BAD && this.encoding) throw this.fault(`not valid ${shown(this.encoding)}`);
    if (this.cell.length >= MAX_CELL)
      throw this.fault(`the cell is over ${MAX_CELL / 2 ** 20} MiB, or its quote is never closed`);
    this.cell += char;
  }

  /** @private @param {string} reason */
  fault(reason) {
    return this.fail({ column: this.row.cells.length, line: this.cellLine, reason });
  }

  /** @private */
  next() {
    this.row.cells.push(this.cell);
    this.cell = "";
    this.state = "start";
    this.cellLine = this.line;
  }

  /** @private */
  close() {
    this.next();
    const [first = "", ...more] = this.row.cells;
    if (!more.length && isBlank(first) && !this.hasQuote) this.row.cells = [];
    const { row } = this;
    this.row = { line: this.line, cells: [] };
    this.hasQuote = false;
    return row;
  }
}
