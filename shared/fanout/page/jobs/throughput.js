/** How fast a job runs, out of what was seen of it. Pure. */

/**
 * @typedef {{at: number, done: number, inFlight: number | null, refused: number | null}} Sample `at` in ms
 */

const WINDOW = 30_000;
const MOST = 600;

/**
 * The samples with one more; every second of the older half goes where there are too many.
 * @param {Sample[]} samples
 * @param {Sample} next
 */
export function withSample(samples, next) {
  const all = [...samples, next];
  if (all.length <= MOST) return all;
  const half = all.length >> 1;
  return [...all.slice(0, half).filter((_, at) => at % 2 === 0), ...all.slice(half)];
}

/**
 * Lines a second over the last half minute; `null` before there are two samples.
 * @param {Sample[]} samples
 */
export function rate(samples) {
  const last = samples.at(-1);
  if (!last) return null;
  const first = samples.find((one) => one.at >= last.at - WINDOW) ?? last;
  if (last.at <= first.at) return null;
  return ((last.done - first.done) * 1000) / (last.at - first.at);
}

/** Seconds to the end at this rate. @param {number} left @param {number | null} perSecond */
export function secondsLeft(left, perSecond) {
  if (left <= 0) return 0;
  return perSecond ? left / perSecond : null;
}

/** @typedef {import("../ui/chart.js").Point} Point */

/**
 * Lines a second between each two samples, smoothed over three.
 * @param {Sample[]} samples
 * @returns {Point[]}
 */
export function ratePoints(samples) {
  return samples.slice(1).map((one, index) => {
    const before = /** @type {Sample} */ (samples[Math.max(0, index - 2)]);
    const seconds = (one.at - before.at) / 1000;
    return {
      at: one.at,
      value: seconds > 0 ? Math.max(0, one.done - before.done) / seconds : null,
    };
  });
}

/**
 * New refusals at each sample; the count begins anew where the job was taken up again.
 * @param {Sample[]} samples
 * @returns {Point[]}
 */
export function refusals(samples) {
  return samples.slice(1).map((one, index) => {
    const before = samples[index]?.refused ?? null;
    if (one.refused === null || before === null) return { at: one.at, value: null };
    return { at: one.at, value: Math.max(0, one.refused - before) };
  });
}
