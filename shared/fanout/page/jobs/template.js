/** A prompt for each row of a table: `Classify: {review}`; the rules of `bulk/tables/template.py`. Pure. */

import { isBlank, stripped } from "./blanks.js";

const PLACEHOLDER = /\{([^{}\n]+)\}/g;
const WORD = /^[\p{L}\p{N}_][\p{L}\p{N}_ .-]*$/u; // what may be meant as a column's name
const NEAR = 0.6; // how alike two names are, from 0 to 1, if one may be meant as the other
const MAX_LISTED = 20; // columns that a message names

/**
 * Replaces each `{column}` in a template with the row's value. Other braces stay as they are.
 * @param {string} template
 * @param {Record<string, string>} row
 */
export function fillTemplate(template, row) {
  return template.replace(PLACEHOLDER, (whole, given) => {
    const name = stripped(given);
    return Object.hasOwn(row, name) ? (row[name] ?? "") : whole;
  });
}

/**
 * Returns whether one of the template's columns has a text in this row; otherwise it is skipped.
 * @param {string} template
 * @param {Record<string, string>} row
 */
export function hasValue(template, row) {
  return namesIn(template).some((name) => Object.hasOwn(row, name) && !isBlank(row[name] ?? ""));
}

/**
 * Returns what is wrong with a template, or "", and what the user should know.
 * @param {string} template @param {string[]} columns
 * @returns {{problem: string, notes: string[]}}
 */
export function checkTemplate(template, columns) {
  const checked = checkSystem(template, columns);
  const known = columns.filter(Boolean);
  if (checked.problem) return checked;
  if (!namesIn(template).some((name) => known.includes(name))) {
    const listed = known.slice(0, MAX_LISTED).map((name) => `{${name}}`);
    return { problem: `the prompt names no column; write ${listed.join(" or ")}`, notes: [] };
  }
  return checked;
}

/**
 * The same for the template of the system message, which may name no column.
 * @param {string} template @param {string[]} columns
 * @returns {{problem: string, notes: string[]}}
 */
export function checkSystem(template, columns) {
  const known = columns.filter(Boolean);
  const others = namesIn(template).filter((name) => !known.includes(name) && WORD.test(name));
  for (const name of others) {
    const near = nearest(name, known);
    if (near)
      return { problem: `there is no column \`${name}\`; did you mean \`${near}\`?`, notes: [] };
  }
  return {
    problem: "",
    notes: others.map((name) => `\`{${name}}\` is no column, and stays as it is`),
  };
}

/** @param {string} template */
function namesIn(template) {
  return [...template.matchAll(PLACEHOLDER)].map((found) => stripped(found[1] ?? ""));
}

/** The column whose name is most like this one, if any is. @param {string} name @param {string[]} columns */
function nearest(name, columns) {
  const wanted = name.toLowerCase();
  let best = "";
  let most = NEAR;
  for (const column of columns) {
    const share = likeness(wanted, column.toLowerCase());
    if (share >= most) [best, most] = [column, share];
  }
  return best;
}

/** The share of characters that two texts have in common, in order (Ratcliff and Obershelp). @param {string} a @param {string} b */
function likeness(a, b) {
  return a.length + b.length ? (2 * matching(a, b)) / (a.length + b.length) : 1;
}

/** @param {string} a @param {string} b @returns {number} */
function matching(a, b) {
  let [length, atA, atB] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1)
    for (let j = 0; j < b.length; j += 1) {
      let size = 0;
      while (i + size < a.length && j + size < b.length && a[i + size] === b[j + size]) size += 1;
      if (size > length) [length, atA, atB] = [size, i, j];
    }
  if (!length) return 0;
  const before = matching(a.slice(0, atA), b.slice(0, atB));
  return length + before + matching(a.slice(atA + length), b.slice(atB + length));
}
