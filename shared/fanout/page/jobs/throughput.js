/** Computes how fast a job runs from samples of its progress. Pure. */

/**
 * @typedef {{at: number, done: number, inFlight: number | null, refused: number | null}} Sample
 * `at` in ms; `refused` counts the calls that the provider rejected with status 429
 */

const WINDOW_MS = 30_000;
const MAX_SAMPLES = 600;

/**
 * Returns the samples with one more. Beyond 600, every second sample of the older half is dropped.
 * @param {Sample[]} samples
 * @param {Sample} next
 */
export function addSample(samples, next) {
  const all = [...samples, next];
  if (all.length <= MAX_SAMPLES) return all;
  const half = all.length >> 1;
  return [...all.slice(0, half).filter((_, at) => at % 2 === 0), ...all.slice(half)];
}

/**
 * Lines per second over the last 30 seconds; `null` before there are two samples.
 * @param {Sample[]} samples
 */
export function linesPerSecond(samples) {
  const last = samples.at(-1);
  if (!last) return null;
  const first = samples.find((one) => one.at >= last.at - WINDOW_MS) ?? last;
  if (last.at <= first.at) return null;
  return ((last.done - first.done) * 1000) / (last.at - first.at);
}

/** The seconds until the end at this speed; `null` if unknown. @param {number} left @param {number | null} perSecond */
export function secondsLeft(left, perSecond) {
  if (left <= 0) return 0;
  return perSecond ? left / perSecond : null;
}

/** @typedef {import("../ui/chart.js").Point} Point */

/**
 * Lines per second at each sample, averaged over up to three intervals.
 * @param {Sample[]} samples
 * @returns {Point[]}
 */
export function linesPerSecondPoints(samples) {
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
 * New rate-limited calls at each sample. The count restarts at 0 when a job is resumed.
 * @param {Sample[]} samples
 * @returns {Point[]}
 */
export function rateLimitedPoints(samples) {
  return samples.slice(1).map((one, index) => {
    const before = samples[index]?.refused ?? null;
    if (one.refused === null || before === null) return { at: one.at, value: null };
    return { at: one.at, value: Math.max(0, one.refused - before) };
  });
}
