/** A timeline with one bar per leg, on one time axis, that shows which model was fastest. */

import { h, setText } from "../ui/dom.js";
import { formatAxisMs, formatMs, roundAxisEnd } from "../ui/format.js";
import { OUTCOME_LABELS, stateLabel } from "./labels.js";
import { fastestLeg, isFinished } from "./run.js";

const MIN_AXIS_MS = 500;
const TICKS = [0, 0.25, 0.5, 0.75, 1];

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").Leg} Leg */

/** @param {Run} run */
export function timeline(run) {
  const rows = run.legs.map((leg) => timelineRow(run, leg));
  const ticks = TICKS.map((share) => h("span", { vars: { "--position": share * 100 } }));
  const axis = h(
    "div",
    { class: "axis", "aria-hidden": "true" },
    h("span"),
    h("div", { class: "ticks" }, ticks),
    h("span"),
  );
  const element = h(
    "section",
    { class: "timeline", "aria-label": "Timeline" },
    axis,
    h(
      "ul",
      null,
      rows.map((row) => row.element),
    ),
  );
  let shownEnd = 0;
  return {
    element,
    /** @param {number} now */
    update(now) {
      const latest = Math.max(MIN_AXIS_MS, ...run.legs.map((leg) => leg.endMs ?? now));
      const end = roundAxisEnd(latest);
      if (end !== shownEnd) {
        shownEnd = end;
        ticks.forEach((tick, at) =>
          setText(tick, at === 0 ? "0" : formatAxisMs((TICKS[at] ?? 0) * end)),
        );
      }
      for (const row of rows) row.update(now, end);
    },
  };
}

/** @param {Run} run @param {Leg} leg */
function timelineRow(run, leg) {
  const isGrid = run.draft.prompts.length > 1;
  const name = isGrid ? `${leg.prompt + 1} · ${leg.model}` : leg.model;
  const waiting = h("span", { class: "waiting" });
  const streaming = h("span", { class: "streaming" });
  const endMark = h("span", { class: "end-mark" });
  const note = h("span", { class: "note" });
  const track = h("div", { class: "track", "aria-hidden": "true" }, waiting, streaming, endMark);
  const element = h("li", null, h("span", { class: "name", title: leg.model }, name), track, note);
  return {
    element,
    /** @param {number} now @param {number} axisEnd */
    update(now, axisEnd) {
      const end = leg.endMs ?? now;
      const firstToken = Math.min(leg.firstTokenMs ?? end, end);
      setBar(waiting, leg.startMs / axisEnd, firstToken / axisEnd);
      setBar(streaming, firstToken / axisEnd, end / axisEnd);
      endMark.style.setProperty("--position", String((end / axisEnd) * 100));
      const isCompared = run.draft.mode === "all" || (run.draft.mode === "race" && !isGrid);
      const isBest = isCompared ? fastestLeg(run, leg.prompt) === leg : leg.won;
      const isMarked = leg.won || (isBest && leg.state === "done");
      element.className = `is-${leg.state}${isMarked ? " is-best" : ""}`;
      setText(note, noteOf(leg, end, isBest));
    },
  };
}

/** @param {HTMLElement} bar @param {number} start @param {number} end both as a share of the axis */
function setBar(bar, start, end) {
  bar.style.setProperty("--start", String(Math.max(0, start) * 100));
  bar.style.setProperty("--length", String(Math.max(0, end - start) * 100));
}

/** @param {Leg} leg @param {number} end @param {boolean} isBest */
function noteOf(leg, end, isBest) {
  const duration = formatMs(end - leg.startMs);
  if (leg.outcome && leg.state === "done")
    return `${OUTCOME_LABELS[leg.outcome] ?? leg.outcome}, ${duration}`;
  if (leg.state === "not_started") return "not started";
  if (leg.state === "cancelled") return `cancelled, ${duration}`;
  if (leg.state === "failed") return `${stateLabel(leg)}, ${duration}`;
  if (leg.state === "lost") return `lost, ${duration}`;
  if (leg.state === "stopped") return `stopped, ${duration}`;
  if (leg.won) return isFinished(leg) ? `won, ${duration}` : `won · ${duration}`;
  return isBest && leg.state === "done" ? `fastest, ${duration}` : duration;
}
