/** The lanes of a job's lines: how they were sent, and at which price. */

import { formatCount, formatUsd } from "../ui/format.js";

/** The name of a lane for people. @param {string} lane */
export function laneName(lane) {
  return lane === "realtime" ? "real time" : lane;
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
