/** A small chart: one quantity over time, and ticks for what happened. */

import { fill, h, say, svg } from "./dom.js";
import { niceEnd } from "./format.js";

const WIDTH = 320;
const HEIGHT = 80;

/** @typedef {{at: number, value: number | null}} Point */

/** @param {string} title @param {string} unit */
export function chart(title, unit) {
  const now = h("b");
  const top = h("span", { class: "top-of" });
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line" });
  const marks = svg("path", { class: "marks" });
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    area,
    line,
    marks,
  );
  const note = h("p", { class: "hint" });
  const element = h(
    "figure",
    { class: "chart" },
    h("figcaption", null, title, " ", now),
    h("div", { class: "plot" }, picture, top),
    note,
  );
  return {
    element,
    /**
     * @param {Point[]} points
     * @param {Point[]} [events] those with a value above 0 are marked
     * @param {string} [remark]
     */
    update(points, events = [], remark = "") {
      const known = points.filter((point) => point.value !== null);
      say(note, known.length ? remark : "Not told by this gateway.");
      const last = known.at(-1);
      say(now, last ? `${round(last.value ?? 0)} ${unit}` : "");
      if (known.length < 2) {
        for (const path of [area, line, marks]) path.setAttribute("d", "");
        fill(top);
        return;
      }
      const from = /** @type {Point} */ (known[0]).at;
      const long = Math.max(1, /** @type {Point} */ (known.at(-1)).at - from);
      const end = niceEnd(Math.max(1, ...known.map((point) => point.value ?? 0)));
      const x = (/** @type {number} */ at) => (((at - from) / long) * WIDTH).toFixed(1);
      const y = (/** @type {number} */ value) => (HEIGHT - (value / end) * (HEIGHT - 4)).toFixed(1);
      const path = known.map((point) => `${x(point.at)},${y(point.value ?? 0)}`).join("L");
      line.setAttribute("d", `M${path}`);
      area.setAttribute("d", `M0,${HEIGHT}L${path}L${WIDTH},${HEIGHT}Z`);
      const seen = events.filter((event) => event.value && event.at >= from);
      marks.setAttribute("d", seen.map((event) => `M${x(event.at)},${HEIGHT}v-14`).join(""));
      say(top, String(end));
    },
  };
}

/** @param {number} value */
const round = (value) =>
  value >= 10 ? Math.round(value).toLocaleString("en-US") : value.toFixed(1).replace(/\.0$/, "");
