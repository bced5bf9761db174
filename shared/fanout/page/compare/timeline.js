/** Who was how fast: one bar for each lane on a time axis that all share. */

import { h, say } from "../ui/dom.js";
import { niceEnd, tick as label, time } from "../ui/format.js";
import { fastest, isOver } from "./run.js";

const LEAST = 500; // ms that the axis shows at the least
const TICKS = [0, 0.25, 0.5, 0.75, 1];

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").Lane} Lane */

/** @param {Run} run */
export function timeline(run) {
  const rows = run.lanes.map((lane) => row(run, lane));
  const ticks = TICKS.map((share) => h("span", { vars: { "--at": share * 100 } }));
  const axis = h(
    "div",
    { class: "axis", "aria-hidden": "true" },
    h("span"),
    h("div", { class: "ticks" }, ticks),
    h("span"),
  );
  const element = h(
    "section",
    { class: "timeline", "aria-label": "Time line" },
    axis,
    h(
      "ul",
      null,
      rows.map((one) => one.element),
    ),
  );
  let shownEnd = 0;
  return {
    element,
    /** @param {number} now */
    update(now) {
      const latest = Math.max(LEAST, ...run.lanes.map((lane) => lane.endMs ?? now));
      const end = niceEnd(latest);
      if (end !== shownEnd) {
        shownEnd = end;
        ticks.forEach((tick, at) => say(tick, at === 0 ? "0" : label((TICKS[at] ?? 0) * end)));
      }
      for (const one of rows) one.update(now, end);
    },
  };
}

/** @param {Run} run @param {Lane} lane */
function row(run, lane) {
  const several = run.draft.prompts.length > 1;
  const name = several ? `${lane.prompt + 1} · ${lane.model}` : lane.model;
  const wait = h("span", { class: "wait" });
  const flow = h("span", { class: "flow" });
  const mark = h("span", { class: "mark" });
  const note = h("span", { class: "note" });
  const track = h("div", { class: "track", "aria-hidden": "true" }, wait, flow, mark);
  const element = h("li", null, h("span", { class: "name", title: lane.model }, name), track, note);
  return {
    element,
    /** @param {number} now @param {number} end of the axis */
    update(now, end) {
      const over = lane.endMs ?? now;
      const first = Math.min(lane.firstMs ?? over, over);
      span(wait, lane.startMs / end, first / end);
      span(flow, first / end, over / end);
      mark.style.setProperty("--at", String((over / end) * 100));
      const best =
        !several || run.draft.mode === "all" ? fastest(run, lane.prompt) === lane : lane.won;
      element.className = `is-${lane.state}${lane.won || (best && lane.state === "done") ? " is-best" : ""}`;
      say(note, noteOf(lane, over, best));
    },
  };
}

/** @param {HTMLElement} bar @param {number} from @param {number} to */
function span(bar, from, to) {
  bar.style.setProperty("--from", String(Math.max(0, from) * 100));
  bar.style.setProperty("--long", String(Math.max(0, to - from) * 100));
}

/** @param {Lane} lane @param {number} over @param {boolean} best */
function noteOf(lane, over, best) {
  const spent = time(over - lane.startMs);
  if (lane.state === "idle") return "not started";
  if (lane.state === "cut") return `cut at ${spent}`;
  if (lane.state === "failed") return `failed at ${spent}`;
  if (lane.state === "lost") return `lost at ${spent}`;
  if (lane.state === "stopped") return `stopped at ${spent}`;
  if (lane.won) return isOver(lane) ? `won, ${spent}` : `won · ${spent}`;
  return best && lane.state === "done" ? `fastest, ${spent}` : spent;
}
