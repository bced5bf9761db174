/** The runs of this tab: the one that is looked at, and the way to the others. */

import { beforeFrame, fill, h, say } from "../ui/dom.js";
import { moment, plural } from "../ui/format.js";
import { copyDialog } from "./copy-dialog.js";
import { contestants } from "./race-table.js";
import { answerCard } from "./response-card.js";
import { isOver, newRun } from "./run.js";
import { timeline } from "./timeline.js";

const MOST = 12; // runs that are kept

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").Lane} Lane */
/** @typedef {import("./request-runner.js").Timed} Timed */
/** @typedef {{run: Timed, element: HTMLElement, touch: (lanes: Lane[]) => void}} View */

/** @param {(lane: Lane, run: Timed) => void} again */
export function runList(again) {
  /** @type {View[]} */
  let views = [];
  /** @type {View | null} */
  let shown = null;
  let last = 0;
  const tabs = h("div", { class: "tabs", role: "group", "aria-label": "Runs of this tab" });
  const picks = h("p", { class: "picks" });
  const place = h("div");
  const element = h(
    "section",
    { class: "runs", "aria-label": "Answers" },
    h("div", { class: "runs-head" }, tabs, picks),
    place,
  );
  fill(place, empty());

  /** @param {View} view */
  function show(view) {
    shown = view;
    fill(place, view.element);
    view.touch(view.run.lanes);
    fill(
      tabs,
      views.map((one) =>
        h(
          "button",
          {
            type: "button",
            class: "quiet small",
            "aria-pressed": String(one === shown),
            onclick: () => show(one),
          },
          `Run ${one.run.id}`,
        ),
      ),
    );
  }

  function countPicks() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { run } of views)
      for (const choice of run.choices)
        if (choice) counts.set(choice, (counts.get(choice) ?? 0) + 1);
    const sorted = [...counts].sort((a, b) => b[1] - a[1]);
    say(
      picks,
      sorted.length
        ? `Your choices: ${sorted.map(([model, times]) => `${model} ${times}`).join(" · ")}`
        : "",
    );
  }

  return {
    element,
    /** A new run, which is shown. @param {import("./run.js").Draft} draft */
    open(draft) {
      let began = 0;
      const run = { ...newRun(draft, ++last), now: () => performance.now() - began };
      const view = runView(run, again, countPicks);
      views = [...views, view].slice(-MOST);
      began = performance.now();
      show(view);
      return run;
    },
    /** @param {Run} run @param {Lane[]} lanes */
    changed(run, lanes) {
      if (shown?.run === run) shown.touch(lanes);
    },
  };
}

function empty() {
  return h(
    "div",
    { class: "empty" },
    h("h2", null, "Ask several models at once"),
    h(
      "p",
      null,
      "Pick the models, write a prompt, and see the answers come in side by side: who is first, how fast, how long, for how much.",
    ),
    h(
      "p",
      null,
      "A race gives you the first answer and stops the others. Several prompts make a grid.",
    ),
  );
}

/**
 * @param {Timed} run
 * @param {(lane: Lane, run: Timed) => void} again
 * @param {() => void} chosen
 * @returns {View}
 */
function runView(run, again, chosen) {
  const isRace = run.draft.mode === "race";
  const times = timeline(run);
  /** @type {Set<Lane>} */
  const dirty = new Set();
  /** @param {Lane} lane */
  const cardOf = (lane) =>
    answerCard(lane, {
      again: () => again(lane, run),
      isChosen: () => run.choices[lane.prompt] === lane.model,
      choose: isRace ? null : () => choose(lane),
    });
  const cards = new Map(run.lanes.map((lane) => [lane, cardOf(lane)]));
  const groups = run.draft.prompts.map((_, at) => group(run, at, cards));

  /** @param {Lane} lane */
  function choose(lane) {
    run.choices[lane.prompt] = run.choices[lane.prompt] === lane.model ? null : lane.model;
    touch(run.lanes);
    chosen();
  }

  /** @param {Lane[]} lanes */
  function touch(lanes) {
    for (const lane of lanes) dirty.add(lane);
    beforeFrame(draw);
  }

  /** At most once a frame, whatever came; on and on while something runs. */
  function draw() {
    const now = run.now();
    for (const lane of dirty) cards.get(lane)?.update(now);
    for (const lane of run.lanes) if (lane.state === "streaming") cards.get(lane)?.figures(now);
    dirty.clear();
    for (const one of groups) one.update(now);
    times.update(now);
    if (element.isConnected && run.lanes.some((lane) => !isOver(lane))) beforeFrame(draw);
  }

  const many = run.draft.prompts.length;
  const models = plural(run.draft.models.length, "model");
  const what = `${isRace ? "Race of" : "Asked"} ${models}${many > 1 ? `, ${many} prompts` : ""}`;
  const copy = h(
    "button",
    { type: "button", class: "small", onclick: () => copyDialog(run, copy) },
    "Copy as …",
  );
  const head = h(
    "header",
    { class: "run-head" },
    h("h2", null, what),
    h("time", null, moment(run.at / 1000)),
    copy,
  );
  const element = h(
    "div",
    { class: "run" },
    head,
    times.element,
    groups.map((one) => one.element),
  );
  return { run, element, touch };
}

/**
 * What belongs to one prompt.
 * @param {Run} run
 * @param {number} prompt
 * @param {Map<Lane, ReturnType<typeof answerCard>>} cards
 */
function group(run, prompt, cards) {
  const lanes = run.lanes.filter((lane) => lane.prompt === prompt);
  const several = run.draft.prompts.length > 1;
  const title =
    several &&
    h(
      "h3",
      { class: "prompt-title" },
      `${prompt + 1}. ${run.draft.prompts[prompt]?.text || "Pictures"}`,
    );
  if (run.draft.mode !== "race") {
    const columns = h(
      "div",
      { class: `columns${several ? " is-grid" : ""}` },
      lanes.map((lane) => cards.get(lane)?.element),
    );
    return {
      element: h(
        "section",
        { class: "group", "aria-label": `Prompt ${prompt + 1}` },
        title,
        columns,
      ),
      update: () => undefined,
    };
  }
  const table = contestants(lanes);
  const place = h(
    "div",
    { class: "winner" },
    h("p", { class: "hint" }, "Nobody has said a word yet."),
  );
  const element = h(
    "section",
    { class: "group", "aria-label": `Prompt ${prompt + 1}` },
    title,
    table.element,
    place,
  );
  return {
    element,
    /** @param {number} now */
    update(now) {
      table.update(now);
      const lane = lanes.find((one) => one.won) ?? lanes.find((one) => one.fault);
      const card = lane && cards.get(lane)?.element;
      if (card && card.parentElement !== place) fill(place, card);
    },
  };
}
