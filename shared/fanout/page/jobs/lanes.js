/** The lanes of a job's lines: how they were sent, and at which price. */

import { formatCount, formatUsd } from "../ui/format.js";

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

/** What the choices mean. @param {Record<string, any>} lanes */
export function laneHint(lanes) {
  const texts = [
    lanes.flex
      ? "Automatic: flex from 3 hours on, as far as the time allows. A line for which flex has no room costs the price in real time."
      : "Automatic: real time.",
  ];
  if (lanes.native)
    texts.push(
      "Native: what the provider's batches do not answer in time is sent in real time, at its price.",
    );
  return texts.join(" ");
}

/** The lines and dollars of each lane, and the savings; "" if all are in real time. @param {any} batch */
export function lanesOf(batch) {
  const lanes = Object.entries(batch.fanout?.lanes ?? {}).filter(([, lane]) => lane.lines > 0);
  if (!lanes.some(([name]) => name !== "realtime")) return "";
  const parts = lanes.map(
    ([name, lane]) =>
      `${formatCount(lane.lines)} ${laneName(name)} ${formatUsd(lane.known_cost_usd)}`,
  );
  return `${parts.join(", ")}; saved ${formatUsd(batch.fanout.saved_usd)}`;
}
