/** A small line chart of one quantity over time, with red marks for events. */

import { h, setChildren, setText, svg } from "./dom.js";
import { roundAxisEnd } from "./format.js";

const WIDTH = 320;
const HEIGHT = 80;

/** @typedef {{at: number, value: number | null}} Point `at` in ms; `null` is unknown */

/** @param {string} title @param {string} unit */
export function chart(title, unit) {
  const current = h("b");
  const axisEnd = h("span", { class: "axis-end" });
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
    h("figcaption", null, title, " ", current),
    h("div", { class: "plot" }, picture, axisEnd),
    note,
  );
  return {
    element,
    /**
     * @param {Point[]} points
     * @param {Point[]} [events] each with a value above 0 gets a mark
     * @param {string} [remark]
     */
    update(points, events = [], remark = "") {
      const known = points.filter((point) => point.value !== null);
      setText(note, known.length ? remark : "This gateway does not report it.");
      const last = known.at(-1);
      setText(current, last ? `${round(last.value ?? 0)} ${unit}` : "");
      if (known.length < 2) {
        for (const path of [area, line, marks]) path.setAttribute("d", "");
        setChildren(axisEnd);
        return;
      }
      const from = /** @type {Point} */ (known[0]).at;
      const duration = Math.max(1, /** @type {Point} */ (known.at(-1)).at - from);
      const end = roundAxisEnd(Math.max(1, ...known.map((point) => point.value ?? 0)));
      const x = (/** @type {number} */ at) => (((at - from) / duration) * WIDTH).toFixed(1);
      const y = (/** @type {number} */ value) => (HEIGHT - (value / end) * (HEIGHT - 4)).toFixed(1);
      const path = known.map((point) => `${x(point.at)},${y(point.value ?? 0)}`).join("L");
      line.setAttribute("d", `M${path}`);
      area.setAttribute("d", `M0,${HEIGHT}L${path}L${WIDTH},${HEIGHT}Z`);
      const marked = events.filter((event) => event.value && event.at >= from);
      marks.setAttribute("d", marked.map((event) => `M${x(event.at)},${HEIGHT}v-14`).join(""));
      setText(axisEnd, String(end));
    },
  };
}

/** @param {number} value */
const round = (value) =>
  value >= 10 ? Math.round(value).toLocaleString("en-US") : value.toFixed(1).replace(/\.0$/, "");
