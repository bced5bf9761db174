/** Numbers and times as people read them. Pure. */

export const UNKNOWN = "–";

/** 84 ms, 1.24 s, 12.3 s, 2 m 05 s. @param {number | null | undefined} ms */
export function time(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return UNKNOWN;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return span(ms / 1000);
}

/** A time on an axis: 250 ms, 1.5 s, 2 s. @param {number} ms */
export function tick(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toFixed(2))} s`;
}

/** 45 s, 2 m 05 s, 3 h 20 m, 2 d 4 h. @param {number | null | undefined} seconds */
export function span(seconds) {
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
export function count(value) {
  return value === null || value === undefined ? UNKNOWN : value.toLocaleString("en-US");
}

/** Dollars, with as many places as a small sum needs. @param {number | null | undefined} dollars */
export function money(dollars) {
  if (dollars === null || dollars === undefined) return UNKNOWN;
  if (dollars === 0) return "$0";
  const size = Math.abs(dollars);
  const places = size >= 1 ? 2 : size >= 0.01 ? 4 : 6;
  return `$${dollars.toFixed(places)}`;
}

/** A range, or one value where its ends look alike. @param {string} low @param {string} high */
export function range(low, high) {
  return low === high ? low : `${low} – ${high}`;
}

/** Tokens a second. @param {number | null | undefined} rate */
export function speed(rate) {
  if (rate === null || rate === undefined || !Number.isFinite(rate)) return UNKNOWN;
  return rate.toFixed(rate < 100 ? 1 : 0);
}

/** 12 B, 3.4 kB, 120 MB. @param {number} bytes */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** The end of an axis: a round number, so that it moves seldom. @param {number} most */
export function niceEnd(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1e-9)));
  for (const factor of [1, 2, 3, 4, 6, 8, 10]) if (most <= factor * power) return factor * power;
  return 10 * power;
}

/** A moment of today by its time, an older one with its date. @param {number} seconds since 1970 */
export function moment(seconds, now = Date.now()) {
  const then = new Date(seconds * 1000);
  const clock = `${pad(then.getHours())}:${pad(then.getMinutes())}`;
  if (then.toDateString() === new Date(now).toDateString()) return clock;
  return `${then.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}, ${clock}`;
}

/** @param {number} number @param {string} one @param {string} [many] */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
