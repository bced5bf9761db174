/** A bar for each day. The table beside it has the same numbers for screen readers. */

import { h, setText, svg } from "../ui/dom.js";
import { formatUsd, roundAxisEnd } from "../ui/format.js";

const WIDTH = 640;
const HEIGHT = 120;
const GAP = 0.2; // of a day's width

/** @typedef {{date: string, spend: number}} DaySpend */

export function spendChart() {
  const title = h("figcaption");
  const axisEnd = h("span", { class: "axis-end" });
  const bars = svg("g", { class: "bars" });
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    bars,
  );
  const ends = h("div", { class: "axis-days", "aria-hidden": "true" }, h("span"), h("span"));
  const element = h(
    "figure",
    { class: "chart" },
    title,
    h("div", { class: "plot" }, picture, axisEnd),
    ends,
  );
  return {
    element,
    /** @param {DaySpend[]} days @param {string} name what they are of */
    update(days, name) {
      const total = days.reduce((sum, day) => sum + day.spend, 0);
      const most = Math.max(0, ...days.map((day) => day.spend));
      const end = most > 0 ? roundAxisEnd(most) : 1;
      const step = WIDTH / Math.max(1, days.length);
      bars.replaceChildren(...days.map((day, at) => bar(day, at * step, step, end)));
      setText(title, `${name}: ${formatUsd(total)}`);
      const label = `Spend a day, ${name}: ${formatUsd(total)} in ${days.length} days, at most ${formatUsd(most)} a day`;
      picture.setAttribute("aria-label", label);
      setText(axisEnd, most > 0 ? formatUsd(end) : "");
      setText(/** @type {Node} */ (ends.firstChild), days[0]?.date ?? "");
      setText(/** @type {Node} */ (ends.lastChild), days.at(-1)?.date ?? "");
    },
  };
}

/** @param {DaySpend} day @param {number} left @param {number} step @param {number} end */
function bar(day, left, step, end) {
  const height = (Math.max(0, day.spend) / end) * (HEIGHT - 4); // a correction may be negative
  const title = svg("title", {});
  title.textContent = `${day.date}: ${formatUsd(day.spend)}`;
  return svg(
    "rect",
    {
      x: (left + (step * GAP) / 2).toFixed(2),
      y: (HEIGHT - height).toFixed(2),
      width: (step * (1 - GAP)).toFixed(2),
      height: height.toFixed(2),
    },
    title,
  );
}
