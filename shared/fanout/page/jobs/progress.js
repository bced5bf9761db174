/** A job's progress: its bar, its figures and its charts. */

import { chart } from "../ui/chart.js";
import { h, setText } from "../ui/dom.js";
import { formatCount, formatSeconds, formatUsd, plural, UNKNOWN } from "../ui/format.js";
import { FINAL_STATUSES } from "./job-status.js";
import { lanesOf } from "./lanes.js";
import {
  linesPerSecond,
  linesPerSecondPoints,
  rateLimitedPoints,
  secondsLeft,
} from "./throughput.js";

const TILES = ["Done", "Failed", "Speed", "Time left", "Cost", "Tokens", "Lanes"];
const MIN_SAMPLES = 3; // for a chart

/** @typedef {import("./throughput.js").Sample} Sample */

export function progressView() {
  const bar = h(
    "div",
    { class: "bar", role: "progressbar", "aria-label": "Lines done" },
    h("span", { class: "done" }),
    h("span", { class: "failed" }),
  );
  const values = TILES.map(() => h("dd", null, UNKNOWN));
  const tile = (/** @type {string} */ name, /** @type {number} */ at) =>
    h("div", null, h("dt", null, name), values[at]);
  const boxes = TILES.map(tile);
  const lanes = /** @type {HTMLElement} */ (boxes[TILES.indexOf("Lanes")]);
  const tiles = h("dl", { class: "tiles" }, boxes);
  const speed = chart("Lines per second", "");
  const flight = chart("Calls in flight", "");
  const charts = h("div", { class: "charts" }, speed.element, flight.element);
  return {
    bar,
    tiles,
    charts,
    /** @param {any} batch @param {Sample[]} samples */
    update(batch, samples) {
      setBar(bar, batch.request_counts);
      figures(batch, samples).forEach((text, at) =>
        setText(/** @type {Node} */ (values[at]), text),
      );
      lanes.hidden = !lanesOf(batch);
      charts.hidden = samples.length < MIN_SAMPLES;
      speed.update(linesPerSecondPoints(samples), [], "Measured in this tab.");
      const points = samples.map((one) => ({ at: one.at, value: one.inFlight }));
      flight.update(points, rateLimitedPoints(samples), rateLimitNote(samples.at(-1)?.refused));
    },
  };
}

/** @param {HTMLElement} bar @param {{total: number, completed: number, failed: number}} counts */
function setBar(bar, { total, completed, failed }) {
  const share = (/** @type {number} */ part) => (total ? (part / total) * 100 : 0);
  bar.setAttribute("aria-valuenow", String(Math.floor(share(completed + failed))));
  bar.style.setProperty("--done", String(share(completed)));
  bar.style.setProperty("--failed", String(share(failed)));
}

/** Returns the texts of the tiles, in order. @param {any} batch @param {Sample[]} samples */
function figures(batch, samples) {
  const { total, completed, failed } = batch.request_counts;
  const isOver = FINAL_STATUSES.has(batch.status);
  const perSecond = isOver ? overallSpeed(batch) : speedNow(batch, samples);
  const left = secondsLeft(total - completed - failed, perSecond);
  return [
    `${formatCount(completed)} of ${formatCount(total)}`,
    formatCount(failed),
    perSecond === null ? UNKNOWN : `${perSecond.toFixed(perSecond < 10 ? 1 : 0)} lines/s`,
    isOver ? "ended" : left === null ? UNKNOWN : `about ${formatSeconds(left)}`,
    costOf(batch),
    `${formatCount(batch.usage.input_tokens)} in, ${formatCount(batch.usage.output_tokens)} out`,
    lanesOf(batch),
  ];
}

/** The gateway's figure of the last minute; of an older gateway, what this tab has measured. @param {any} batch @param {Sample[]} samples */
function speedNow(batch, samples) {
  const known = batch.fanout?.lines_per_second;
  return known === undefined ? linesPerSecond(samples) : known;
}

/** The average lines per second of a job that has ended. @param {any} batch */
function overallSpeed(batch) {
  const end =
    batch.finalizing_at ?? batch.completed_at ?? batch.cancelled_at ?? batch.expired_at ?? 0;
  const { completed, failed } = batch.request_counts;
  const seconds = batch.in_progress_at ? end - batch.in_progress_at : 0;
  return seconds > 0 ? (completed + failed) / seconds : null;
}

/** What the job cost; if a price is unknown, what the rest cost. @param {any} batch */
function costOf(batch) {
  const cap = batch.fanout?.max_cost_usd;
  const known = batch.fanout?.known_cost_usd;
  const isPriced = batch.cost_usd !== null;
  const spent = isPriced
    ? formatUsd(batch.cost_usd)
    : known
      ? `over ${formatUsd(known)}`
      : "price unknown";
  return cap ? `${spent} of ${formatUsd(cap)}` : spent;
}

/** @param {number | null | undefined} refused */
function rateLimitNote(refused) {
  return refused
    ? `Red: ${plural(refused, "call")} rejected with 429 Too Many Requests.`
    : "No call was rejected with 429 Too Many Requests.";
}
