/** One answer as it comes: its text, its figures, and whether it was chosen. */

import { fill, h, say } from "../ui/dom.js";
import { explain, FINISHES } from "../ui/error-messages.js";
import { count, money, speed, time, UNKNOWN } from "../ui/format.js";
import { Markdown } from "../ui/markdown.js";
import { isOver, tokenRate, tokens } from "./run.js";

/** @typedef {import("./run.js").Lane} Lane */

const NEAR = 24; // pixels from the end within which the view follows the text

/** @type {Record<string, string>} */
const STATES = {
  running: "waiting",
  streaming: "answering",
  done: "done",
  failed: "failed",
  stopped: "stopped",
  lost: "lost",
  cut: "cut off",
  idle: "not started",
};

/**
 * @param {Lane} lane
 * @param {{again: () => void, choose: (() => void) | null, isChosen: () => boolean}} what
 */
export function answerCard(lane, what) {
  const state = h("span", { class: "state" });
  const text = h("div", { class: "text" });
  const thought = h("pre", { class: "thought" });
  const thinking = h(
    "details",
    { class: "thinking", hidden: true },
    h("summary", null, "Reasoning"),
    thought,
  );
  const fault = h("div", { class: "fault-box", hidden: true });
  const body = h(
    "div",
    { class: "body", tabIndex: 0, role: "region", "aria-label": `Answer of ${lane.model}` },
    thinking,
    text,
    fault,
  );
  const choose =
    what.choose &&
    h("button", {
      type: "button",
      class: "choose",
      onclick: what.choose,
      "aria-label": `My choice: ${lane.model}`,
    });
  const shown = figures(lane);
  const element = h(
    "article",
    { class: "card", "aria-label": lane.model },
    h("header", null, h("h3", { title: lane.model }, lane.model), state, choose),
    body,
    shown.element,
  );
  let markdown = new Markdown(text);
  let length = 0;
  let isSettled = false;

  function grow() {
    if (lane.text.length < length) {
      fill(text);
      markdown = new Markdown(text);
      length = 0;
    }
    const follows = body.scrollHeight - body.scrollTop - body.clientHeight < NEAR;
    if (lane.text.length > length) markdown.append(lane.text.slice(length));
    length = lane.text.length;
    if (isOver(lane)) markdown.end();
    thinking.hidden = !lane.thought;
    if (thought.firstChild instanceof Text && lane.thought.length >= thought.firstChild.length) {
      thought.firstChild.appendData(lane.thought.slice(thought.firstChild.length));
    } else thought.textContent = lane.thought;
    if (follows && !isSettled) body.scrollTop = body.scrollHeight;
    isSettled = isOver(lane);
  }

  return {
    element,
    figures: shown.update,
    /** What has changed since. @param {number} now */
    update(now) {
      grow();
      element.className = `card is-${lane.state}${what.isChosen() ? " is-chosen" : ""}`;
      say(state, STATES[lane.state] ?? "");
      showFault(fault, lane, what.again);
      if (choose) {
        choose.hidden = lane.state !== "done";
        choose.setAttribute("aria-pressed", String(what.isChosen()));
        say(choose, what.isChosen() ? "★ My choice" : "☆ Choose");
      }
      shown.update(now);
    },
  };
}

/**
 * What went wrong, what to do, and a way to do it.
 * @param {HTMLElement} box
 * @param {Lane} lane
 * @param {() => void} again
 */
function showFault(box, lane, again) {
  if (box.hidden === !lane.fault) return;
  box.hidden = !lane.fault;
  fill(box);
  if (!lane.fault) return;
  const { what, advice, details } = explain(lane.fault);
  fill(
    box,
    h("p", null, h("strong", null, what), " ", advice),
    details && h("p", { class: "details" }, details),
    h("button", { type: "button", onclick: again }, "Ask again"),
  );
}

/** @param {Lane} lane */
function figures(lane) {
  const names = ["First token", "Tokens/s", "Tokens", "Cost", "Finish"];
  const values = names.map(() => h("dd", null, UNKNOWN));
  const element = h(
    "dl",
    { class: "figures" },
    names.map((name, at) => h("div", null, h("dt", null, name), values[at])),
  );
  return {
    element,
    /** @param {number} now */
    update(now) {
      const { count: many, isExact } = tokens(lane);
      const texts = [
        time(lane.firstMs === null ? null : lane.firstMs - lane.startMs),
        speed(tokenRate(lane, now)),
        many ? `${isExact ? "" : "≈ "}${count(many)}` : UNKNOWN,
        lane.cost === null && lane.state === "done" ? "unknown" : money(lane.cost),
        lane.finish ? (FINISHES[lane.finish] ?? lane.finish) : UNKNOWN,
      ];
      texts.forEach((text, at) => say(/** @type {Node} */ (values[at]), text));
    },
  };
}
