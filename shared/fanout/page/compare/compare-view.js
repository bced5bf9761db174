/** Prompts to several models at once: the composer on one side, what came of it on the other. */

import { h, say } from "../ui/dom.js";
import { plural } from "../ui/format.js";
import { keep, recall } from "../ui/session.js";
import { modelPicker } from "./model-picker.js";
import { promptList } from "./prompt-list.js";
import { asker } from "./request-runner.js";
import { runList } from "./run-list.js";
import { MOST_MODELS } from "./run.js";

const DRAFT = "fanout.draft";

/** @typedef {import("./run.js").Draft} Draft */

export function compareView() {
  const kept = keptDraft();
  const picker = modelPicker(kept.models, changed);
  const prompts = promptList(kept.prompts, changed);
  const system = h("textarea", {
    rows: 2,
    placeholder: "You are …",
    value: kept.system,
    oninput: changed,
  });
  const maxTokens = h("input", {
    type: "number",
    min: 1,
    max: 1_000_000,
    inputMode: "numeric",
    placeholder: "the model's own",
    value: kept.maxTokens ?? "",
    oninput: changed,
  });
  const temperature = h("input", {
    type: "number",
    min: 0,
    max: 2,
    step: 0.1,
    placeholder: "the model's own",
    value: kept.temperature ?? "",
    oninput: changed,
  });
  const modes = modeSwitch(kept.mode, changed);
  const submit = h("button", { class: "primary wide", type: "submit" });
  const stop = h(
    "button",
    { class: "wide", type: "button", hidden: true, onclick: () => asking.stop() },
    "Stop",
  );
  const hint = h("p", { class: "hint", id: "ask-hint" });
  submit.setAttribute("aria-describedby", "ask-hint");
  const runs = runList((lane, run) => asking.again(run, lane));
  const asking = asker(runs.changed, (busy) => {
    const [gone, come] = busy ? [submit, stop] : [stop, submit];
    const hadFocus = document.activeElement === gone;
    gone.hidden = true;
    come.hidden = false;
    if (hadFocus) come.focus({ preventScroll: true });
  });

  /** @returns {Draft} */
  function draft() {
    return {
      mode: modes.value(),
      models: picker.chosen(),
      system: system.value,
      prompts: prompts.value(),
      maxTokens: numberOf(maxTokens),
      temperature: numberOf(temperature),
    };
  }

  function changed() {
    const now = draft();
    const reason = reasonNotTo(now);
    const asks =
      now.mode === "race"
        ? `Race ${plural(now.models.length, "model")}`
        : `Ask ${plural(now.models.length, "model")}`;
    const many = now.prompts.length > 1 ? `, ${plural(now.prompts.length, "prompt")}` : "";
    say(submit, asks + many);
    submit.setAttribute("aria-disabled", String(Boolean(reason)));
    say(hint, reason || "Ctrl + Enter asks from any field.");
    keep(DRAFT, { ...now, prompts: now.prompts.map(({ text }) => ({ text, pictures: [] })) });
  }

  /** @param {Event} event */
  function go(event) {
    event.preventDefault();
    const now = draft();
    if (reasonNotTo(now) || asking.isBusy()) return;
    asking.begin(runs.open(now));
    if (matchMedia("(max-width: 60rem)").matches) runs.element.scrollIntoView({ block: "start" });
  }

  const form = h(
    "form",
    {
      class: "composer",
      "aria-label": "What to ask",
      onsubmit: go,
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) go(event);
      },
    },
    modes.element,
    picker.element,
    h("label", null, "System", system),
    prompts.element,
    h(
      "details",
      { open: Boolean(kept.maxTokens || kept.temperature !== null) },
      h("summary", null, "Limits"),
      h(
        "div",
        { class: "pair" },
        h("label", null, "Most tokens", maxTokens),
        h("label", null, "Temperature", temperature),
      ),
    ),
    h("div", { class: "go" }, submit, stop, hint),
  );
  const element = h("div", { class: "compare" }, form, runs.element);
  changed();
  return {
    element,
    /** @param {string[]} names */
    models(names) {
      picker.known(names);
      changed();
    },
  };
}

/** @param {Draft["mode"]} kept @param {() => void} changed */
function modeSwitch(kept, changed) {
  /** @type {[Draft["mode"], string, string][]} */
  const modes = [
    ["all", "Compare", "every answer"],
    ["race", "Race", "the first one wins"],
  ];
  const inputs = modes.map(([value]) =>
    h("input", { type: "radio", name: "mode", value, checked: value === kept, onchange: changed }),
  );
  const element = h(
    "fieldset",
    { class: "switch" },
    h("legend", { class: "unseen" }, "Mode"),
    modes.map(([, name, what], at) =>
      h("label", null, inputs[at], h("span", null, h("b", null, name), ` ${what}`)),
    ),
  );
  return {
    element,
    value: () => /** @type {Draft["mode"]} */ (inputs[1]?.checked ? "race" : "all"),
  };
}

/** Why this cannot be asked, or nothing. @param {Draft} draft */
function reasonNotTo(draft) {
  if (!draft.models.length) return "Pick a model.";
  if (draft.models.length > MOST_MODELS) return `At most ${MOST_MODELS} models.`;
  if (draft.mode === "race" && draft.models.length < 2) return "A race needs two models or more.";
  if (draft.prompts.some((prompt) => !prompt.text.trim() && !prompt.pictures.length))
    return "Write a prompt.";
  return "";
}

/** @param {HTMLInputElement} field */
function numberOf(field) {
  return field.value === "" || !Number.isFinite(field.valueAsNumber) ? null : field.valueAsNumber;
}

/** What was in the form before the tab was loaded anew. @returns {Draft} */
function keptDraft() {
  const empty = {
    mode: "all",
    models: [],
    system: "",
    prompts: [{ text: "", pictures: [] }],
    maxTokens: null,
    temperature: null,
  };
  return { ...empty, ...recall(DRAFT, {}) };
}
