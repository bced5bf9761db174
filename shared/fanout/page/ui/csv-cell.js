/** A cell of a CSV that people open in a spreadsheet; the rules of `bulk/tables/writers.py`. Pure. */

/** How a text begins that a spreadsheet may run as a formula (OWASP): a sign may come after control characters. */
const FORMULA = /^[=+\-@\x00-\x1F\x7F＝＋－＠]/u;
const NUMBER = /^[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?%?\s*$/u;

/** The cell with an apostrophe before a formula, in quotes if it needs them (RFC 4180). @param {string | number} value */
export function csvCell(value) {
  const given = String(value);
  const text = FORMULA.test(given) && !NUMBER.test(given) ? `'${given}` : given;
  return /[",\r\n]|^\s|\s$/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
