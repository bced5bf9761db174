/** CSV to a job's lines, piece by piece. Pure; RFC 4180, and the separators that people use. */

/** The separator of a header line. @param {string} header */
export function separatorOf(header) {
  const counts = [",", ";", "\t"].map((one) => ({ one, times: header.split(one).length }));
  return counts.reduce((best, next) => (next.times > best.times ? next : best)).one;
}

export class Rows {
  /** @param {string} separator */
  constructor(separator) {
    this.separator = separator;
    /** @private @type {string[]} */ this.row = [];
    /** @private */ this.field = "";
    /** @private */ this.quoted = false;
    /** @private */ this.wasQuote = false;
    /** @private */ this.wasReturn = false;
    /** @private */ this.begun = false;
  }

  /** The rows that this piece completes. @param {string} piece */
  feed(piece) {
    /** @type {string[][]} */
    const rows = [];
    for (const letter of this.begun ? piece : piece.replace(/^\uFEFF/, "")) this.take(letter, rows);
    this.begun = this.begun || piece.length > 0;
    return rows;
  }

  /** The last row, where no line end follows it. */
  end() {
    /** @type {string[][]} */
    const rows = [];
    if (this.quoted && !this.wasQuote) throw new Error("a quote is opened and never closed");
    if (this.field || this.row.length) this.close(rows);
    return rows;
  }

  /** @private @param {string} letter @param {string[][]} rows */
  take(letter, rows) {
    if (this.quoted && !this.wasQuote) {
      if (letter === '"') this.wasQuote = true;
      else this.field += letter;
      return;
    }
    if (letter === '"' && this.wasQuote) this.field += '"';
    else if (letter === '"' && this.field === "") this.quoted = true;
    else if (letter === this.separator) this.next();
    else if (letter === "\r" || letter === "\n") {
      if (!(letter === "\n" && this.wasReturn)) this.close(rows);
    } else {
      if (this.wasQuote) this.quoted = false;
      this.field += letter;
    }
    this.wasReturn = letter === "\r";
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
 * The column that is most likely the prompt: by its name, or the one that says most.
 * @param {string[]} columns
 * @param {string[][]} rows
 */
export function guess(columns, rows) {
  const named = columns.find((name) => /prompt|question|text|input|message/i.test(name));
  const sizes = columns.map((_, at) => rows.reduce((sum, row) => sum + (row[at]?.length ?? 0), 0));
  return named ?? columns[sizes.indexOf(Math.max(...sizes))] ?? "";
}

/**
 * `{column}` of a template by the row's values; other braces stay.
 * @param {string} template
 * @param {Record<string, string>} row
 */
export function fillIn(template, row) {
  return template.replace(/\{([^{}\n]+)\}/g, (whole, name) =>
    Object.hasOwn(row, name) ? (row[name] ?? "") : whole,
  );
}

/**
 * One line of a job, named by its row.
 * @param {string} text
 * @param {string} system
 * @param {number} number
 */
export function lineOf(text, system, number) {
  const said = [
    ...(system ? [{ role: "system", content: system }] : []),
    { role: "user", content: text },
  ];
  return JSON.stringify({ custom_id: `row-${number}`, messages: said }) + "\n";
}

/**
 * The lines of a CSV, as bytes for the job.
 * @param {AsyncIterable<string>} pieces @param {string} separator @param {string} template @param {string} system
 */
export async function convert(pieces, separator, template, system) {
  const rows = new Rows(separator);
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
      const values = Object.fromEntries(columns.map((name, at) => [name, row[at] ?? ""]));
      const text = fillIn(template, values);
      if (text.trim()) lines.push(lineOf(text, system, number));
    }
  };
  for await (const piece of pieces) take(rows.feed(piece));
  take(rows.end());
  return { lines, rows: number };
}
