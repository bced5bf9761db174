/** The Compare view: the form on one side, the responses of its runs on the other. */

import { h, setText } from "../ui/dom.js";
import { plural } from "../ui/format.js";
import { NO_FORMAT } from "../ui/response-format.js";
import { responseFormatForm } from "../ui/response-format-form.js";
import { loadFromSession, saveToSession } from "../ui/session.js";
import { nextConversations } from "./chat-requests.js";
import { decisionProblem, NO_RULES } from "./decision.js";
import { decisionForm, modeSwitch } from "./decision-form.js";
import { modelPicker } from "./model-picker.js";
import { modelSettings } from "./model-settings.js";
import { promptList } from "./prompt-list.js";
import { requestRunner } from "./request-runner.js";
import { MAX_MODELS } from "./run.js";
import { runList } from "./run-list.js";

const DRAFT_ITEM = "fanout.draft";

/** @typedef {import("./run.js").Draft} Draft */

export function compareView() {
  const saved = savedDraft();
  const picker = modelPicker(saved.models, changed);
  const prompts = promptList(saved.prompts, changed);
  const system = h("textarea", {
    rows: 2,
    placeholder: "You are …",
    value: saved.system,
    oninput: changed,
  });
  const maxTokens = h("input", {
    type: "number",
    min: 1,
    max: 1_000_000,
    inputMode: "numeric",
    placeholder: "model default",
    value: saved.maxTokens ?? "",
    oninput: changed,
  });
  const temperature = h("input", {
    type: "number",
    min: 0,
    max: 2,
    step: 0.1,
    placeholder: "model default",
    value: saved.temperature ?? "",
    oninput: changed,
  });
  const modes = modeSwitch(saved.mode, changed);
  const decision = decisionForm({ ...NO_RULES, ...saved.decision }, changed);
  const settings = modelSettings(saved.settings, changed);
  const format = responseFormatForm(saved.format ?? NO_FORMAT, changed);
  const submit = h("button", { class: "primary wide", type: "submit" });
  const stop = h(
    "button",
    { class: "wide", type: "button", hidden: true, onclick: () => runner.stop() },
    "Stop",
  );
  const hint = h("p", { class: "hint", id: "submit-hint" });
  submit.setAttribute("aria-describedby", "submit-hint");
  const runs = runList({
    retry: (leg, run) => runner.retry(run, leg),
    follow,
    useSample: (text) => {
      prompts.setFirst(text);
      submit.focus();
    },
    showForm: () => {
      form.scrollIntoView({ block: "start" });
      prompts.focus();
    },
  });
  const runner = requestRunner(runs.changed, (busy) => {
    if (!busy) runs.save();
    const [hide, show] = busy ? [submit, stop] : [stop, submit];
    const hadFocus = document.activeElement === hide;
    hide.hidden = true;
    show.hidden = false;
    if (hadFocus) show.focus({ preventScroll: true });
  });
  addEventListener("pagehide", runs.save); // after the runner's: its requests are cancelled first

  /** @returns {Draft} */
  function draft() {
    const models = picker.chosen();
    return {
      mode: modes.value(),
      models,
      settings: settings.value(models),
      system: system.value,
      prompts: prompts.value(),
      maxTokens: numberOf(maxTokens),
      temperature: numberOf(temperature),
      format: format.value(),
      decision: decision.value(),
    };
  }

  function changed() {
    const now = draft();
    settings.show(now.models, now.mode);
    decision.show(now.mode);
    const problem = problemOf(now) || format.problem();
    const verb = now.mode === "race" ? "Race" : "Ask";
    const count = now.prompts.length;
    const grid = count > 1 ? `, ${plural(count, "prompt")}` : "";
    setText(submit, `${verb} ${plural(now.models.length, "model")}${grid}`);
    submit.setAttribute("aria-disabled", String(Boolean(problem)));
    setText(hint, problem || "Ctrl + Enter sends the request.");
    const texts = now.prompts.map(({ text }) => ({ text, pictures: [] }));
    saveToSession(DRAFT_ITEM, { ...now, prompts: texts });
  }

  /** @param {Event} event */
  function send(event) {
    event.preventDefault();
    const now = draft();
    if (problemOf(now) || format.problem() || runner.isBusy()) return;
    start(runs.open(now));
  }

  /**
   * Sends the next message of the conversations of a run.
   * @param {import("./run.js").Run} run
   * @param {string} text
   */
  function follow(run, text) {
    const next = nextConversations(run);
    if (!next || runner.isBusy()) return false;
    const again = { ...run.draft, models: next.models, prompts: [{ text, pictures: [] }] };
    start(runs.open(again, next.histories));
    return true;
  }

  /** @param {import("./request-runner.js").TimedRun} run */
  function start(run) {
    runner.start(run);
    const isAbove = runs.element.getBoundingClientRect().top < 0; // after the next message of a run
    if (isAbove || matchMedia("(max-width: 60rem)").matches)
      runs.element.scrollIntoView({ block: "start" });
  }

  const form = h(
    "form",
    {
      class: "composer",
      "aria-label": "Request",
      onsubmit: send,
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
      },
    },
    modes.element,
    picker.element,
    decision.element,
    h("label", null, "System message", system),
    prompts.element,
    h(
      "details",
      { open: hasParameters(saved) },
      h("summary", null, "Parameters"),
      h(
        "div",
        { class: "pair" },
        h("label", null, "Max tokens", maxTokens),
        h("label", null, "Temperature", temperature),
      ),
      settings.element,
    ),
    format.element,
    h("div", { class: "submit" }, submit, stop, hint),
  );
  const element = h("div", { class: "compare" }, form, runs.element);
  changed();
  return {
    element,
    /** @param {string[]} names */
    setModels(names) {
      picker.setListed(names);
      format.setModels(names);
      decision.setModels(names);
      changed();
    },
  };
}

/** Returns why a draft cannot be sent, or "". @param {Draft} draft */
function problemOf(draft) {
  if (!draft.models.length) return "Pick a model.";
  if (draft.models.length > MAX_MODELS) return `Pick at most ${MAX_MODELS} models.`;
  if (draft.mode === "race" && draft.models.length < 2) return "A race needs at least two models.";
  const problem = decisionProblem(draft);
  if (problem) return problem;
  if (draft.prompts.some((prompt) => !prompt.text.trim() && !prompt.pictures.length))
    return "Write a prompt.";
  return "";
}

/** @param {Draft} draft */
function hasParameters({ maxTokens, temperature, settings }) {
  return Boolean(maxTokens || temperature !== null || Object.keys(settings).length);
}

/** @param {HTMLInputElement} field */
function numberOf(field) {
  return field.value === "" || !Number.isFinite(field.valueAsNumber) ? null : field.valueAsNumber;
}

/** Returns what the form held before a reload; pictures are not kept. @returns {Draft} */
function savedDraft() {
  const empty = {
    mode: "all",
    models: [],
    system: "",
    prompts: [{ text: "", pictures: [] }],
    maxTokens: null,
    temperature: null,
    settings: {},
  };
  return { ...empty, ...loadFromSession(DRAFT_ITEM, {}) };
}
