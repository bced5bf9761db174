/** Turns a CSV file, read in chunks, into the lines of a job. Pure; RFC 4180, with `,`, `;`, tab or `|`. */

/** Returns the separator that occurs most often in a header line. @param {string} header */
export function detectSeparator(header) {
  const counts = [",", ";", "\t", "|"].map((one) => ({ one, times: header.split(one).length }));
  return counts.reduce((best, next) => (next.times > best.times ? next : best)).one;
}

/** Parses rows from text that arrives in chunks. */
export class CsvParser {
  /** @param {string} separator */
  constructor(separator) {
    this.separator = separator;
    /** @private @type {string[]} */ this.row = [];
    /** @private */ this.field = "";
    /** @private */ this.quoted = false;
    /** @private */ this.wasQuote = false;
    /** @private */ this.wasReturn = false;
    /** @private */ this.started = false;
  }

  /** Returns the rows that this chunk completes. @param {string} chunk */
  feed(chunk) {
    /** @type {string[][]} */
    const rows = [];
    for (const char of this.started ? chunk : chunk.replace(/^\uFEFF/, "")) this.take(char, rows);
    this.started = this.started || chunk.length > 0;
    return rows;
  }

  /** Whether the text so far ends inside quotes. */
  get isOpen() {
    return this.quoted && !this.wasQuote;
  }

  /** Returns the last row, if no line end follows it. */
  end() {
    /** @type {string[][]} */
    const rows = [];
    if (this.isOpen) throw new Error("a quoted cell is never closed");
    if (this.field || this.row.length) this.close(rows);
    return rows;
  }

  /** @private @param {string} char @param {string[][]} rows */
  take(char, rows) {
    if (this.quoted && !this.wasQuote) {
      if (char === '"') this.wasQuote = true;
      else this.field += char;
      return;
    }
    if (char === '"' && this.wasQuote) this.field += '"';
    else if (char === '"' && this.field === "") this.quoted = true;
    else if (char === this.separator) this.next();
    else if (char === "\r" || char === "\n") {
      if (!(char === "\n" && this.wasReturn)) this.close(rows);
    } else {
      if (this.wasQuote) this.quoted = false;
      this.field += char;
    }
    this.wasReturn = char === "\r";
    this.wasQuote = false;
  }

  /** @private */
  next() {
    this.row.push(this.field);
    this.field = "";
    this.quoted = false;
  }

  /** @private @param {string[][]} rows */
  close(rows) {
    this.next();
    if (this.row.length > 1 || this.row[0]) rows.push(this.row);
    this.row = [];
  }
}

/**
 * Returns the column that most likely holds the prompt: by its name, otherwise the longest one.
 * @param {string[]} columns
 * @param {string[][]} rows
 */
export function guessPromptColumn(columns, rows) {
  const named = columns.find((name) => /prompt|question|text|input|message/i.test(name));
  const sizes = columns.map((_, at) => rows.reduce((sum, row) => sum + (row[at]?.length ?? 0), 0));
  return named ?? columns[sizes.indexOf(Math.max(...sizes))] ?? "";
}

/**
 * Replaces each `{column}` in a template with the row's value. Other braces stay as they are.
 * @param {string} template
 * @param {Record<string, string>} row
 */
export function fillTemplate(template, row) {
  return template.replace(/\{([^{}\n]+)\}/g, (whole, name) =>
    Object.hasOwn(row, name) ? (row[name] ?? "") : whole,
  );
}

/**
 * Returns one line of a job's input; its `custom_id` is the number of the CSV's row.
 * @param {string} text
 * @param {string} system
 * @param {number} number
 */
export function jobLine(text, system, number) {
  const messages = [
    ...(system ? [{ role: "system", content: system }] : []),
    { role: "user", content: text },
  ];
  return JSON.stringify({ custom_id: `row-${number}`, messages }) + "\n";
}

/**
 * Returns a job line for each row that gives a prompt, and the number of rows.
 * @param {AsyncIterable<string>} chunks @param {string} separator @param {string} template @param {string} system
 */
export async function csvToLines(chunks, separator, template, system) {
  const parser = new CsvParser(separator);
  /** @type {string[] | null} */
  let columns = null;
  /** @type {string[]} */
  const lines = [];
  let number = 0;
  /** @param {string[][]} found */
  const take = (found) => {
    for (const row of found) {
      if (columns === null) {
        columns = row;
        continue;
      }
      number += 1;
      if (row.length !== columns.length)
        throw new Error(
          `row ${number} has ${row.length} cell${row.length === 1 ? "" : "s"}, the header ${columns.length}`,
        );
      const values = Object.fromEntries(columns.map((name, at) => [name, row[at] ?? ""]));
      const text = fillTemplate(template, values);
      if (text.trim()) lines.push(jobLine(text, system, number));
    }
  };
  for await (const chunk of chunks) take(parser.feed(chunk));
  try {
    take(parser.end());
  } catch (error) {
    throw parser.isOpen ? new Error(`row ${number + 1}: ${String(error).slice(7)}`) : error;
  }
  return { lines, rows: number };
}
