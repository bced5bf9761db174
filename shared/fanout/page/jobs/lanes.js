/** The lanes of a job's lines: how they were sent, and at which price. */

import { formatCount, formatUsd, plural } from "../ui/format.js";

/** The name of a lane for people. @param {string} lane */
export function laneName(lane) {
  return lane === "realtime" ? "real time" : lane;
}

/** @typedef {[value: string, name: string]} LaneOption */

/** What the user may choose, by the lanes that lines of the file may go by. @param {Record<string, any>} lanes @returns {LaneOption[]} */
export function laneOptions(lanes) {
  /** @type {LaneOption[]} */
  const options = [
    ["", "automatic"],
    ["realtime", "real time"],
  ];
  if (lanes.flex) options.push(["flex", "flex: cheaper, in minutes"]);
  if (lanes.native) options.push(["native", "native: batches of the provider, in hours"]);
  return options;
}

/** What the user may choose of native batches on a lane; none if the lane or the file excludes them. @param {string} lane @param {Record<string, any>} lanes @returns {LaneOption[]} */
export function nativeOptions(lane, lanes) {
  if (!lanes.native || lane === "realtime" || lane === "flex") return [];
  /** @type {LaneOption[]} */
  const options = [
    ["auto", "auto: lines that are cheaper so"],
    ["require", "require: all lines, or none is sent"],
  ];
  return lane === "native" ? options : [["never", "never"], ...options];
}

/** How many lines the job of a quote sends by native batches. @param {any} quote */
export function nativeLines(quote) {
  const lines = quote.native_lines ?? 0;
  return `This job sends ${lines ? plural(lines, "line") : "no line"} by native batches.`;
}

/** The fields of a job with these choices; one of native batches that does not fit the lane is left out. @param {string} lane @param {string} native @returns {{lane?: string, native?: string}} */
export function laneFields(lane, native) {
  const fits = ["auto", "require"].includes(native) && !["realtime", "flex"].includes(lane);
  if (!fits) return lane ? { lane } : {};
  return { lane: lane || "auto", native };
}

/** What the choices mean. @param {Record<string, any>} lanes */
export function laneHint(lanes) {
  const texts = [
    lanes.flex
      ? "Automatic: flex from 3 hours on, as far as the time allows. A line for which flex has no room costs the price in real time."
      : "Automatic: real time.",
  ];
  if (lanes.native)
    texts.push(
      "Native batches: what they do not answer in time is sent in real time, at its price. With the lane automatic, auto uses them only if the time is long enough and they save $0.05 or more.",
    );
  return texts.join(" ");
}

/** The lines that were sent twice, and what is known to be paid for responses that are not used; "" if none. @param {any} batch */
function hedgedOf(batch) {
  const hedged = batch.fanout?.hedged;
  if (!hedged?.lines) return "";
  return `${plural(hedged.lines, "line")} sent twice, ${formatUsd(hedged.known_cost_usd)} known for unused responses`;
}

/** The lines and dollars of each lane, the savings, and the lines that were sent twice; "" if all are in real time. @param {any} batch */
export function lanesOf(batch) {
  return [costsOf(batch), hedgedOf(batch)].filter(Boolean).join("; ");
}

/** The lines and dollars of each lane, and the savings; "" if all are in real time. @param {any} batch */
function costsOf(batch) {
  const lanes = Object.entries(batch.fanout?.lanes ?? {}).filter(([, lane]) => lane.lines > 0);
  if (!lanes.some(([name]) => name !== "realtime")) return "";
  const parts = lanes.map(
    ([name, lane]) =>
      `${formatCount(lane.lines)} ${laneName(name)} ${formatUsd(lane.known_cost_usd)}`,
  );
  return `${parts.join(", ")}; saved ${formatUsd(batch.fanout.saved_usd)}`;
}
