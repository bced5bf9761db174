/** The rows of a job: each line's prompt, with its response or its error. Pure. */

import { csvCell } from "../ui/csv-cell.js";

/**
 * @typedef {object} Row
 * @property {string} id @property {string | null} prompt `null` if the input was not read that far
 * @property {string} response @property {string} error
 * @property {string} model @property {number | null} tokens
 * @property {number | null} calls made for a response that must fit a schema
 */

/** The `custom_id` and the prompt of a line of the input. @param {string} line @param {number} number from 1 */
export function promptOf(line, number) {
  const value = parsed(line);
  if (value === null || typeof value !== "object") return { id: `line-${number}`, prompt: line };
  const body = value.body ?? value;
  const messages = Array.isArray(value) ? value : (body.messages ?? []);
  const last = messages.findLast((/** @type {any} */ message) => message?.role === "user");
  const prompt = typeof body.prompt === "string" ? body.prompt : textOf(last?.content);
  return { id: String(value.custom_id ?? `line-${number}`), prompt };
}

/** The row of a line of the output or of the errors, without its prompt. @param {string} line @returns {Row} */
export function resultOf(line) {
  const { custom_id: id, response, error } = parsed(line) ?? {};
  const row = { prompt: null, response: "", error: "", model: "", tokens: null, calls: null };
  const failure = error ?? response?.body?.error;
  if (failure)
    return {
      ...row,
      id: String(id),
      response: textOf(failure.text),
      error: errorText(failure),
      calls: callsIn(failure),
    };
  const responses = Array.isArray(response?.body) ? response.body : [response?.body ?? {}];
  const choices = responses.flatMap((/** @type {any} */ one) => one.choices ?? []);
  const texts = choices.map(choiceText);
  return {
    ...row,
    id: String(id),
    response: texts.join("\n\n"),
    error: choices.every((/** @type {any} */ choice) => choice.error)
      ? errorText(choices[0]?.error ?? { message: "The response is empty." })
      : "",
    model: responses[0]?.model ?? "",
    tokens: sum(responses.map((/** @type {any} */ one) => one.usage?.total_tokens)),
    calls: sum([...responses, ...choices].map((one) => callsIn(one.fanout))),
  };
}

/** How many calls a report or an error of a checked response has. @param {any} found */
const callsIn = (found) =>
  found?.attempts?.filter((/** @type {any} */ one) => one.outcome !== "not_started").length ?? null;

/** @param {any} choice */
function choiceText(choice) {
  if (choice.error) return errorText(choice.error);
  const { content, refusal, tool_calls: calls } = choice.message ?? {};
  return textOf(content) || refusal || (calls ? JSON.stringify(calls) : "");
}

/** The text of a message's content. @param {any} content @returns {string} */
function textOf(content) {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (part?.type === "text" ? part.text : `[${part?.type}]`)).join(" ");
}

/** @param {any} error */
const errorText = ({ message, code }) =>
  `${message ?? "The request failed."}${code ? ` (${code})` : ""}`;

/** The sum of what is known, or `null`. @param {any[]} counts @returns {number | null} */
function sum(counts) {
  const known = counts.filter((count) => typeof count === "number");
  return known.length ? known.reduce((a, b) => a + b) : null;
}

/** @param {string} line @returns {any} */
function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/**
 * Joins prompts and results, in the order of the input; those without a prompt come last.
 * @param {{id: string, prompt: string}[]} prompts
 * @param {Row[]} results
 * @returns {Row[]}
 */
export function joined(prompts, results) {
  const found = new Map(results.map((row) => [row.id, row]));
  const rows = [];
  for (const { id, prompt } of prompts) {
    const row = found.get(id);
    if (!row) continue; // it has no result yet, or that was not read
    rows.push({ ...row, prompt });
    found.delete(id);
  }
  return [...rows, ...found.values()];
}

const COLUMNS = ["id", "prompt", "answer", "error", "model", "tokens"];

/** The rows as CSV (RFC 4180), with the columns of the command line's tables. @param {Row[]} rows */
export function csvOf(rows) {
  const lines = rows.map(({ id, prompt, response, error, model, tokens }) => [
    id,
    prompt ?? "",
    error ? "" : response, // not one that does not fit its schema
    error,
    model,
    tokens ?? "",
  ]);
  return [COLUMNS, ...lines].map((cells) => `${cells.map(csvCell).join(",")}\r\n`).join("");
}
