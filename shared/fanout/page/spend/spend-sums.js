/** Adds up what keys have spent, from the gateway's days, for the plot, the table and the CSV. Pure. */

import { csvCell } from "../ui/csv-cell.js";

/**
 * @typedef {{spend: number, api_requests: number, prompt_tokens: number, completion_tokens: number}} Metrics
 * @typedef {{metrics: Metrics, metadata?: {key_alias?: string | null}}} Part
 * @typedef {{date: string, metrics: Metrics, breakdown: Record<string, Record<string, Part>>}} Day
 * @typedef {{id: string, name: string, spend: number, requests: number, sent: number, received: number}} Row
 * `id` is the group's own name, `name` what people call it
 */

/** The groups by their name in a day's breakdown, and what one is called. */
export const GROUPS = /** @type {const} */ ({
  api_keys: "Key",
  teams: "Team",
  tags: "Tag",
  models: "Model",
  days: "Day",
});

/** @typedef {keyof typeof GROUPS} Group */

const HASH_SHOWN = 8;

/**
 * The sums of each group: the most expensive first, days the newest first.
 * @param {Day[]} days @param {Group} group
 */
export function sumsBy(days, group) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  for (const day of days) {
    const parts =
      group === "days" ? { [day.date]: { metrics: day.metrics } } : day.breakdown[group];
    for (const [id, part] of Object.entries(parts ?? {})) {
      const row = rows.get(id) ?? { id, name: nameOf(id, part, group), ...NOTHING };
      rows.set(id, added(row, part.metrics));
    }
  }
  const sorted = [...rows.values()];
  return group === "days"
    ? sorted.sort((one, other) => (one.id < other.id ? 1 : -1))
    : sorted.sort((one, other) => other.spend - one.spend);
}

const NOTHING = { spend: 0, requests: 0, sent: 0, received: 0 };

/** @param {Row} row @param {Metrics} metrics @returns {Row} */
const added = (row, metrics) => ({
  ...row,
  spend: row.spend + metrics.spend,
  requests: row.requests + metrics.api_requests,
  sent: row.sent + metrics.prompt_tokens,
  received: row.received + metrics.completion_tokens,
});

/** @param {string} id @param {Part} part @param {Group} group */
function nameOf(id, part, group) {
  if (group === "api_keys") return part.metadata?.key_alias || `${id.slice(0, HASH_SHOWN)}…`;
  return group === "teams" && id === "-" ? "without a team" : id;
}

/**
 * What each day of the period has cost, also those without a request: all of it, or one group's part.
 * @param {Day[]} days @param {string} from @param {string} to `2026-11-30`
 * @param {Group} group @param {string | null} id
 */
export function dailySpend(days, from, to, group, id) {
  const known = new Map(days.map((day) => [day.date, day]));
  const found = [];
  const last = Date.parse(to);
  for (let at = Date.parse(from); at <= last; at += 86_400_000) {
    const date = new Date(at).toISOString().slice(0, 10);
    const day = known.get(date);
    const part = id === null || group === "days" ? day : day?.breakdown[group]?.[id];
    found.push({ date, spend: part?.metrics.spend ?? 0 });
  }
  return found;
}

/** The table as CSV (RFC 4180). @param {Row[]} rows @param {Group} group */
export function spendCsv(rows, group) {
  const heads = [
    GROUPS[group].toLowerCase(),
    "spend_usd",
    "requests",
    "prompt_tokens",
    "completion_tokens",
  ];
  const more = group === "api_keys" ? ["key_hash"] : [];
  const lines = rows.map((row) => [
    row.name,
    Number(row.spend.toFixed(9)),
    row.requests,
    row.sent,
    row.received,
    ...(group === "api_keys" ? [row.id] : []),
  ]);
  return [[...heads, ...more], ...lines]
    .map((line) => `${line.map(csvCell).join(",")}\r\n`)
    .join("");
}
