/** How far a job is: its bar, its figures, its charts. */

import { chart } from "../ui/chart.js";
import { h, say } from "../ui/dom.js";
import { FINAL } from "../ui/error-messages.js";
import { count, money, plural, span, UNKNOWN } from "../ui/format.js";
import { rate, ratePoints, refusals, secondsLeft } from "./throughput.js";

const TILES = ["Done", "Failed", "Speed", "Time left", "Cost", "Tokens"];
const FEW = 3; // samples below which there is nothing to draw

/** @typedef {import("./throughput.js").Sample} Sample */

export function progress() {
  const bar = h(
    "div",
    { class: "bar", role: "progressbar", "aria-label": "Lines done" },
    h("span", { class: "done" }),
    h("span", { class: "bad" }),
  );
  const values = TILES.map(() => h("dd", null, UNKNOWN));
  const tile = (/** @type {string} */ name, /** @type {number} */ at) =>
    h("div", null, h("dt", null, name), values[at]);
  const tiles = h("dl", { class: "tiles" }, TILES.map(tile));
  const speed = chart("Lines a second", "");
  const flight = chart("Calls in flight", "");
  const charts = h("div", { class: "charts" }, speed.element, flight.element);
  return {
    bar,
    tiles,
    charts,
    /** @param {any} batch @param {Sample[]} samples */
    update(batch, samples) {
      measure(bar, batch.request_counts);
      figures(batch, samples).forEach((text, at) => say(/** @type {Node} */ (values[at]), text));
      charts.hidden = samples.length < FEW;
      speed.update(ratePoints(samples), [], "As seen from this page.");
      const points = samples.map((one) => ({ at: one.at, value: one.inFlight }));
      flight.update(points, refusals(samples), refusedWords(samples.at(-1)?.refused));
    },
  };
}

/** @param {HTMLElement} bar @param {{total: number, completed: number, failed: number}} counts */
function measure(bar, { total, completed, failed }) {
  const share = (/** @type {number} */ part) => (total ? (part / total) * 100 : 0);
  bar.setAttribute("aria-valuenow", String(Math.floor(share(completed + failed))));
  bar.style.setProperty("--done", String(share(completed)));
  bar.style.setProperty("--lost", String(share(failed)));
}

/** The texts of the tiles, in their order. @param {any} batch @param {Sample[]} samples */
function figures(batch, samples) {
  const { total, completed, failed } = batch.request_counts;
  const isOver = FINAL.has(batch.status);
  const perSecond = isOver ? overall(batch) : rate(samples);
  const left = secondsLeft(total - completed - failed, perSecond);
  return [
    `${count(completed)} of ${count(total)}`,
    count(failed),
    perSecond === null ? UNKNOWN : `${perSecond.toFixed(perSecond < 10 ? 1 : 0)} lines/s`,
    isOver ? "over" : left === null ? UNKNOWN : `about ${span(left)}`,
    costOf(batch),
    `${count(batch.usage.input_tokens)} in, ${count(batch.usage.output_tokens)} out`,
  ];
}

/** Lines a second of a job that is over. @param {any} batch */
function overall(batch) {
  const end =
    batch.finalizing_at ?? batch.completed_at ?? batch.cancelled_at ?? batch.expired_at ?? 0;
  const { completed, failed } = batch.request_counts;
  const seconds = batch.in_progress_at ? end - batch.in_progress_at : 0;
  return seconds > 0 ? (completed + failed) / seconds : null;
}

/** @param {any} batch */
function costOf(batch) {
  const cap = batch.fanout?.max_cost_usd;
  const isPriced = batch.cost_usd > 0 || !batch.usage.total_tokens;
  const spent = isPriced ? money(batch.cost_usd) : "no price known";
  return cap ? `${spent} of ${money(cap)}` : spent;
}

/** @param {number | null | undefined} refused */
function refusedWords(refused) {
  return refused
    ? `${plural(refused, "call was", "calls were")} answered “too many requests” (red).`
    : "No call was answered “too many requests”.";
}
