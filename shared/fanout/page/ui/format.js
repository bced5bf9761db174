/** Formats numbers, sums and times for people. Pure. An unknown value is shown as a dash. */

export const UNKNOWN = "–";

/** 84 ms, 1.24 s, 12.3 s, 2 m 05 s. @param {number | null | undefined} ms */
export function formatMs(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return UNKNOWN;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return formatSeconds(ms / 1000);
}

/** A time on an axis, without trailing zeros: 250 ms, 1.5 s, 2 s. @param {number} ms */
export function formatAxisMs(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toFixed(2))} s`;
}

/** 45 s, 2 m 05 s, 3 h 20 m, 2 d 4 h. @param {number | null | undefined} seconds */
export function formatSeconds(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${pad(whole % 60)} s`;
  if (whole < 86_400)
    return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} m`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** @param {number} number */
const pad = (number) => String(number).padStart(2, "0");

/** 1,234,567. @param {number | null | undefined} value */
export function formatCount(value) {
  return value === null || value === undefined ? UNKNOWN : value.toLocaleString("en-US");
}

/** $3.50, $0.0123, $0.000004: smaller sums get more decimals. @param {number | null | undefined} dollars */
export function formatUsd(dollars) {
  if (dollars === null || dollars === undefined) return UNKNOWN;
  if (dollars === 0) return "$0";
  const sum = Math.abs(dollars);
  const decimals = sum >= 1 ? 2 : sum >= 0.01 ? 4 : 6;
  return `$${dollars.toFixed(decimals)}`;
}

/** `$1 – $2`, or just `$1` if both ends read the same. @param {string} low @param {string} high */
export function formatRange(low, high) {
  return low === high ? low : `${low} – ${high}`;
}

/** A rate such as tokens per second: 38.2, 250. @param {number | null | undefined} rate */
export function formatRate(rate) {
  if (rate === null || rate === undefined || !Number.isFinite(rate)) return UNKNOWN;
  return rate.toFixed(rate < 100 ? 1 : 0);
}

/** 12 B, 3.4 kB, 120 MB. @param {number} bytes */
export function formatBytes(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** The end of an axis: `value` rounded up so far that the axis seldom changes. @param {number} value */
export function roundAxisEnd(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  for (const factor of [1, 1.2, 1.6, 2, 3, 4, 6, 8, 10])
    if (value <= factor * power) return factor * power;
  return 10 * power;
}

/** `12:05` today, `3 May, 12:05` on another day. @param {number} seconds since 1970 */
export function formatTimestamp(seconds, now = Date.now()) {
  const then = new Date(seconds * 1000);
  return withDay(then, `${pad(then.getHours())}:${pad(then.getMinutes())}`, now);
}

/** `12:05:07` today, with the day if it is another one. @param {number} seconds since 1970 */
export function formatClock(seconds, now = Date.now()) {
  const then = new Date(seconds * 1000);
  const parts = [then.getHours(), then.getMinutes(), then.getSeconds()];
  return withDay(then, parts.map(pad).join(":"), now);
}

/** @param {Date} then @param {string} clock @param {number} now */
function withDay(then, clock, now) {
  if (then.toDateString() === new Date(now).toDateString()) return clock;
  return `${then.toLocaleDateString("en-US", { day: "numeric", month: "short" })}, ${clock}`;
}

/** `1 model`, `3 models`. @param {number} number @param {string} one @param {string} [many] */
export function plural(number, one, many = `${one}s`) {
  return `${formatCount(number)} ${number === 1 ? one : many}`;
}
