/** The runs of this tab: one is shown, and a button leads to each of the others. */

import { beforeNextFrame, h, setChildren, setText } from "../ui/dom.js";
import { formatTimestamp, plural } from "../ui/format.js";
import { copyDialog } from "./copy-dialog.js";
import { decisionView } from "./decision-view.js";
import { followUp } from "./follow-up.js";
import { raceTable } from "./race-table.js";
import { responseCard } from "./response-card.js";
import { isFinished, newRun } from "./run.js";
import { samplePrompts } from "./sample-prompts.js";
import { loadRuns, saveRuns } from "./saved-runs.js";
import { synchronisedScrolling } from "./synchronised-scrolling.js";
import { timeline } from "./timeline.js";

const MAX_RUNS = 12; // older ones are dropped

/** @type {Record<string, string>} */
const TITLES = { race: "Race of", agree: "Votes of", best: "Best of", merge: "Merged from" };

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").Leg} Leg */
/** @typedef {import("./request-runner.js").TimedRun} TimedRun */
/** @typedef {{run: TimedRun, element: HTMLElement, markChanged: (legs: Leg[]) => void}} View */

/**
 * @typedef {object} Actions
 * @property {(leg: Leg, run: TimedRun) => void} retry
 * @property {(run: Run, text: string) => boolean} follow sends the next message of a conversation
 * @property {(text: string) => void} useSample puts a sample prompt into the form
 * @property {() => void} showForm scrolls to the form, which is above the responses on a phone
 */

/** @param {Actions} actions */
export function runList(actions) {
  /** @type {View[]} */
  let views = [];
  /** @type {View | null} */
  let shown = null;
  let lastId = 0;
  const tabs = h("div", { class: "tabs", role: "group", "aria-label": "Runs of this tab" });
  const choiceCounts = h("p", { class: "choice-counts" });
  const place = h("div");
  const toForm = h(
    "button",
    { type: "button", class: "quiet small to-form", onclick: actions.showForm },
    "↑ Prompt",
  );
  const element = h(
    "section",
    { class: "runs", "aria-label": "Responses" },
    h("div", { class: "runs-head" }, tabs, choiceCounts, toForm),
    place,
  );
  setChildren(place, samplePrompts(actions.useSample));
  const restored = loadRuns();
  for (const run of restored) addView(run);
  const last = views.at(-1);
  if (last) show(last);
  countChoices();

  function save() {
    saveRuns(views.map((view) => view.run));
  }

  /** @param {Run} plain */
  function addView(plain) {
    const startedAt = performance.now() - Math.max(0, ...plain.legs.map((leg) => leg.endMs ?? 0));
    const run = { ...plain, now: () => performance.now() - startedAt };
    const view = runView(run, actions, countChoices);
    views = [...views, view].slice(-MAX_RUNS);
    lastId = Math.max(lastId, run.id);
    return view;
  }

  /** @param {View} view */
  function show(view) {
    shown = view;
    setChildren(place, view.element);
    view.markChanged(view.run.legs);
    setChildren(
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

  function countChoices() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { run } of views)
      for (const choice of run.choices)
        if (choice) counts.set(choice, (counts.get(choice) ?? 0) + 1);
    const sorted = [...counts].sort((a, b) => b[1] - a[1]);
    setText(
      choiceCounts,
      sorted.length
        ? `Your choices: ${sorted.map(([model, times]) => `${model} ${times}`).join(" · ")}`
        : "",
    );
  }

  return {
    element,
    /**
     * Creates a run and shows it.
     * @param {import("./run.js").Draft} draft
     * @param {any[][] | null} [histories]
     */
    open(draft, histories) {
      const view = addView(newRun(draft, lastId + 1, Date.now(), histories));
      show(view);
      return view.run;
    },
    save,
    /** @param {Run} run @param {Leg[]} legs */
    changed(run, legs) {
      if (shown?.run === run) shown.markChanged(legs);
    },
  };
}

/**
 * @param {TimedRun} run
 * @param {Actions} actions
 * @param {() => void} choiceChanged
 * @returns {View}
 */
function runView(run, actions, choiceChanged) {
  const isCompared = run.draft.mode === "all";
  const bars = timeline(run);
  /** @type {Set<Leg>} */
  const dirty = new Set();
  /** @param {Leg} leg */
  const cardOf = (leg) =>
    responseCard(leg, {
      retry: () => actions.retry(leg, run),
      isChosen: () => run.choices[leg.prompt] === leg.model,
      choose: isCompared ? () => choose(leg) : null,
      history: run.histories?.[Math.max(0, run.legs.indexOf(leg))] ?? [],
    });
  const cards = new Map(run.legs.map((leg) => [leg, cardOf(leg)]));
  const groups = run.draft.prompts.map((_, at) => promptGroup(run, at, cards, cardOf));

  /** @param {Leg} leg */
  function choose(leg) {
    run.choices[leg.prompt] = run.choices[leg.prompt] === leg.model ? null : leg.model;
    markChanged(run.legs);
    choiceChanged();
  }

  /** @param {Leg[]} legs */
  function markChanged(legs) {
    for (const leg of legs) dirty.add(leg);
    beforeNextFrame(draw);
  }

  /** Draws what changed, at most once per frame; again in the next frame while a leg runs. */
  function draw() {
    const now = run.now();
    for (const leg of dirty) cards.get(leg)?.update(now);
    for (const leg of run.legs) if (leg.state === "streaming") cards.get(leg)?.updateFigures(now);
    const changed = [...dirty];
    dirty.clear();
    for (const group of groups) group.update(now, changed);
    bars.update(now);
    next.update();
    if (element.isConnected && run.legs.some((leg) => !isFinished(leg))) beforeNextFrame(draw);
  }

  const next = followUp(run, (text) => actions.follow(run, text));
  const count = run.draft.prompts.length;
  const models = plural(run.draft.models.length, "model");
  const turn = run.histories ? `, message ${turnOf(run)}` : "";
  const prompts = count > 1 ? `, ${count} prompts` : turn;
  const title = `${TITLES[run.draft.mode] ?? "Asked"} ${models}${prompts}`;
  const copy = h(
    "button",
    { type: "button", class: "small", onclick: () => copyDialog(run, copy) },
    "Copy as …",
  );
  const scrollTogether = h(
    "label",
    { class: "check" },
    h("input", {
      type: "checkbox",
      onchange: (/** @type {Event} */ { target }) =>
        scrolling.set(/** @type {HTMLInputElement} */ (target).checked),
    }),
    " Scroll together",
  );
  const head = h(
    "header",
    { class: "run-head" },
    h("h2", null, title),
    h("time", null, formatTimestamp(run.at / 1000)),
    isCompared && run.legs.length > 1 && scrollTogether,
    copy,
  );
  const question = count === 1 && run.draft.prompts[0]?.text;
  const element = h(
    "div",
    { class: "run" },
    head,
    question &&
      h("p", { class: "question", tabIndex: 0, "aria-label": "Prompt of this run" }, question),
    bars.element,
    groups.map((group) => group.element),
    next.element,
  );
  const scrolling = synchronisedScrolling(element, () =>
    [...cards.values()].map((card) => card.body),
  );
  return { run, element, markChanged };
}

/** Which message of its conversation a run's prompt is, from 1. @param {Run} run */
function turnOf(run) {
  const said = run.histories?.[0]?.filter((message) => message.role === "user") ?? [];
  return said.length + 1;
}

/**
 * The responses to one prompt. Models that share a response have a table, and only that is shown.
 * @param {Run} run
 * @param {number} prompt
 * @param {Map<Leg, ReturnType<typeof responseCard>>} cards
 * @param {(leg: Leg) => ReturnType<typeof responseCard>} cardOf
 */
function promptGroup(run, prompt, cards, cardOf) {
  const legs = run.legs.filter((leg) => leg.prompt === prompt);
  const isGrid = run.draft.prompts.length > 1;
  const title =
    isGrid &&
    h(
      "h3",
      { class: "prompt-title" },
      `${prompt + 1}. ${run.draft.prompts[prompt]?.text || "Pictures"}`,
    );
  if (run.draft.mode === "all") {
    const columns = h(
      "div",
      { class: `columns${isGrid ? " is-grid" : ""}${legs.length === 4 ? " of-4" : ""}` },
      legs.map((leg) => cards.get(leg)?.element),
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
  const result = run.results[prompt];
  const table = raceTable(legs, !result);
  const decision = result && decisionView(result);
  const place = h(
    "div",
    { class: "winner" },
    h("p", { class: "hint" }, result ? "Not decided yet." : "No model has produced any text yet."),
  );
  const element = h(
    "section",
    { class: "group", "aria-label": `Prompt ${prompt + 1}` },
    title,
    table.element,
    decision?.element,
    place,
  );
  return {
    element,
    /** @param {number} now @param {Leg[]} changed */
    update(now, changed) {
      table.update(now);
      if (result) {
        decision?.update();
        showResult(result, now, changed.includes(result));
        return;
      }
      const leg =
        legs.find((one) => one.won) ??
        legs.find((one) => one.check) ??
        legs.find((one) => one.error);
      const card = leg && cards.get(leg)?.element;
      if (card && card.parentElement !== place) setChildren(place, card);
    },
  };
  /**
   * Shows the response that was decided on; its model is known when it begins.
   * @param {Leg} leg @param {number} now @param {boolean} isChanged
   */
  function showResult(leg, now, isChanged) {
    if (!leg.model) {
      if (cards.delete(leg)) setChildren(place, h("p", { class: "hint" }, "Not decided yet."));
      return;
    }
    const isNew = !cards.has(leg);
    const card = cards.get(leg) ?? cardOf(leg);
    cards.set(leg, card);
    if (isNew) setChildren(place, card.element);
    if (isNew || isChanged) card.update(now);
  }
}
