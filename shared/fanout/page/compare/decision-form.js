/** The switch between the modes, and the fields that votes or a judge need. */

import { h, setChildren } from "../ui/dom.js";
import { DEFAULT_VOTES, isDecided, NO_RULES } from "./decision.js";

/** @typedef {import("./run.js").Draft} Draft */
/** @typedef {import("./decision.js").Rules} Rules */

/** @type {[Draft["mode"], string, string][]} */
const MODES = [
  ["all", "Compare", "all responses"],
  ["race", "Race", "the first one wins"],
  ["agree", "Agree", "the models vote"],
  ["best", "Best", "a judge chooses"],
  ["merge", "Merge", "a judge writes one"],
];

/** @param {Draft["mode"]} mode @param {() => void} changed */
export function modeSwitch(mode, changed) {
  const inputs = MODES.map(([value]) =>
    h("input", { type: "radio", name: "mode", value, checked: value === mode, onchange: changed }),
  );
  const element = h(
    "fieldset",
    { class: "switch of-5" },
    h("legend", { class: "visually-hidden" }, "Mode"),
    MODES.map(([, name, what], at) =>
      h("label", null, inputs[at], h("span", null, h("b", null, name), ` ${what}`)),
    ),
  );
  return {
    element,
    /** @returns {Draft["mode"]} */
    value: () => MODES[inputs.findIndex((input) => input.checked)]?.[0] ?? "all",
  };
}

/** @param {Rules} saved @param {() => void} changed */
export function decisionForm(saved, changed) {
  const votes = h("input", {
    type: "number",
    min: 2,
    max: 20,
    inputMode: "numeric",
    placeholder: String(DEFAULT_VOTES),
    value: saved.k ?? "",
    oninput: changed,
  });
  const known = h("datalist", { id: "known-judges" });
  const judge = h("input", {
    type: "text",
    placeholder: "a model name",
    autocomplete: "off",
    spellcheck: false,
    value: saved.judge,
    oninput: changed,
  });
  judge.setAttribute("list", known.id);
  const criteria = h("textarea", {
    rows: 2,
    placeholder: "Correct first. Then short.",
    value: saved.criteria,
    oninput: changed,
  });
  const ofVotes = h(
    "div",
    { class: "rules" },
    h("label", null, "Votes for one answer", votes),
    h(
      "p",
      { class: "hint" },
      "The models are asked in your gateway's order, and only as many as can still decide. Ask for one word, or for a last line such as Answer: B.",
    ),
  );
  const ofJudge = h(
    "div",
    { class: "rules" },
    h("label", null, "Judge", judge),
    known,
    h("label", null, "Criteria", criteria),
  );
  return {
    element: h("div", null, ofVotes, ofJudge),
    /** Shows the fields of this mode. @param {Draft["mode"]} mode */
    show(mode) {
      ofVotes.hidden = mode !== "agree";
      ofJudge.hidden = !isDecided(mode) || mode === "agree";
    },
    /** @returns {Rules} */
    value: () => ({
      ...NO_RULES,
      k: votes.value === "" ? null : votes.valueAsNumber,
      judge: judge.value,
      criteria: criteria.value,
    }),
    /** @param {string[]} models that the gateway lists */
    setModels: (models) =>
      setChildren(
        known,
        models.map((name) => h("option", { value: name })),
      ),
  };
}
