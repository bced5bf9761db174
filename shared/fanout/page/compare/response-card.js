/** One model's response while it streams: its text, its figures, its error, and the user's choice. */

import { copyText } from "../ui/clipboard.js";
import { h, setChildren, setText, svg } from "../ui/dom.js";
import { explainError } from "../ui/error-messages.js";
import { formatCount, formatMs, formatRate, formatUsd, plural, UNKNOWN } from "../ui/format.js";
import { StreamingMarkdown } from "../ui/markdown.js";
import { checkedCalls } from "./check-view.js";
import { showFullScreen } from "./full-screen.js";
import { FINISH_LABELS, stateLabel } from "./labels.js";
import { isFinished, tokenCount, tokensPerSecond } from "./run.js";

/** @typedef {import("./run.js").Leg} Leg */
/**
 * @typedef {object} Actions
 * @property {() => void} retry @property {(() => void) | null} choose @property {() => boolean} isChosen
 * @property {any[]} history the messages before the prompt
 */

const FOLLOW_PX = 24; // the view follows the text once it is scrolled to within this of its end
const COPIED_MS = 2000; // how long a button says that it has copied

const ICON = { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" };
const CORNERS = "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4";

/**
 * @param {Leg} leg
 * @param {Actions} actions
 */
export function responseCard(leg, actions) {
  const state = h("span", { class: "state" });
  const text = h("div", { class: "text" });
  const reasoning = h("pre", { class: "reasoning" });
  const reasoningBox = h(
    "details",
    { class: "reasoning-box", hidden: true },
    h("summary", null, "Reasoning"),
    reasoning,
  );
  const error = h("div", { class: "error-box", hidden: true });
  const calls = checkedCalls(leg);
  const body = h(
    "div",
    { class: "body", tabIndex: 0, role: "region", "aria-label": `Response of ${leg.model}` },
    earlierMessages(actions.history),
    calls.element,
    reasoningBox,
    text,
    error,
  );
  const choose =
    actions.choose &&
    h("button", {
      type: "button",
      class: "choose",
      onclick: actions.choose,
      "aria-label": `Choose ${leg.model}`,
    });
  const copy = h("button", { type: "button", class: "quiet small", onclick: copyResponse }, "Copy");
  copy.setAttribute("aria-label", `Copy the response of ${leg.model}`);
  const expand = h("button", { type: "button", class: "quiet small", onclick: toggleFullScreen });
  expand.append(svg("svg", ICON, svg("path", { d: CORNERS })));
  const shown = figures(leg);
  const element = h(
    "article",
    { class: "card", "aria-label": leg.model },
    h(
      "header",
      null,
      h("h3", { title: leg.model }, leg.model),
      state,
      h("div", { class: "card-buttons" }, choose, copy, expand),
    ),
    body,
    shown.element,
  );
  /** @type {HTMLDialogElement | null} */
  let fullScreen = null;
  labelExpand();

  function labelExpand() {
    const label = `${fullScreen ? "Leave" : "Show in"} full screen: ${leg.model}`;
    expand.setAttribute("aria-label", label);
    expand.title = fullScreen ? "Leave full screen" : "Full screen";
  }

  function toggleFullScreen() {
    if (fullScreen) return fullScreen.close();
    fullScreen = showFullScreen(element, body, `Response of ${leg.model}`, () => {
      fullScreen = null;
      labelExpand();
      expand.focus({ preventScroll: true });
    });
    labelExpand();
    expand.focus({ preventScroll: true });
  }

  async function copyResponse() {
    const isCopied = await copyText(leg.text, text);
    setText(copy, isCopied ? "Copied" : "Selected");
    setTimeout(() => setText(copy, "Copy"), COPIED_MS);
  }

  let markdown = new StreamingMarkdown(text);
  let length = 0;
  let wasFinished = false;

  function updateText() {
    if (leg.text.length < length) {
      setChildren(text); // a retry starts over
      markdown = new StreamingMarkdown(text);
      length = 0;
    }
    const toEnd = body.scrollHeight - body.scrollTop - body.clientHeight;
    const isFollowed = body.scrollTop > 0 && toEnd < FOLLOW_PX; // a response starts at its first line
    if (leg.text.length > length) markdown.append(leg.text.slice(length));
    length = leg.text.length;
    if (isFinished(leg)) markdown.end();
    reasoningBox.hidden = !leg.reasoning;
    const old = reasoning.firstChild;
    if (old instanceof Text && leg.reasoning.length >= old.length) {
      old.appendData(leg.reasoning.slice(old.length));
    } else reasoning.textContent = leg.reasoning;
    if (isFollowed && !wasFinished) body.scrollTop = body.scrollHeight;
    wasFinished = isFinished(leg);
  }

  return {
    element,
    body,
    updateFigures: shown.update,
    /** @param {number} now */
    update(now) {
      updateText();
      element.className = `card is-${leg.state}${actions.isChosen() ? " is-chosen" : ""}`;
      setText(state, stateLabel(leg));
      calls.update();
      showError(error, leg, actions.retry);
      copy.hidden = expand.hidden = !leg.text;
      if (choose) {
        choose.hidden = leg.state !== "done";
        choose.setAttribute("aria-pressed", String(actions.isChosen()));
        setText(choose, actions.isChosen() ? "★ Chosen" : "☆ Choose");
      }
      shown.update(now);
    },
  };
}

/** The messages of a conversation before its last prompt, folded. @param {any[]} history */
function earlierMessages(history) {
  const said = history.filter((message) => message.role !== "system");
  if (!said.length) return null;
  const content = (/** @type {any} */ message) =>
    typeof message.content === "string" ? message.content : message.content[0]?.text;
  return h(
    "details",
    { class: "history" },
    h("summary", null, plural(said.length, "earlier message")),
    h(
      "dl",
      null,
      said.map((message) => [
        h("dt", null, message.role === "user" ? "Prompt" : "Response"),
        h("dd", null, content(message)),
      ]),
    ),
  );
}

/**
 * Shows what went wrong, what to do, and a button to retry.
 * @param {HTMLElement} box
 * @param {Leg} leg
 * @param {() => void} retry
 */
function showError(box, leg, retry) {
  if (box.hidden === !leg.error) return;
  box.hidden = !leg.error;
  setChildren(box);
  if (!leg.error) return;
  const { what, advice, details } = explainError(leg.error);
  setChildren(
    box,
    h("p", null, h("strong", null, what), " ", advice),
    details && !leg.check && h("p", { class: "details" }, details), // a check has its reason
    h("button", { type: "button", onclick: retry }, "Try again"),
  );
}

/** @param {Leg} leg */
function figures(leg) {
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
      const { count, isExact } = tokenCount(leg);
      const { finishReason } = leg;
      const texts = [
        formatMs(leg.firstTokenMs === null ? null : leg.firstTokenMs - leg.startMs),
        formatRate(tokensPerSecond(leg, now)),
        count ? `${isExact ? "" : "≈ "}${formatCount(count)}` : UNKNOWN,
        leg.cost === null && leg.state === "done" ? "unknown" : formatUsd(leg.cost),
        finishReason ? (FINISH_LABELS[finishReason] ?? finishReason) : UNKNOWN,
      ];
      texts.forEach((text, at) => setText(/** @type {Node} */ (values[at]), text));
    },
  };
}
