/** The fields of a response format: a JSON schema, the attempts, and the models to ask next. */

import { announce, h, setChildren, setText } from "./dom.js";
import { MAX_ATTEMPTS, MAX_ESCALATE, schemaProblem } from "./response-format.js";

/** @typedef {import("./response-format.js").Format} Format */

const EXAMPLE = '{"type": "object",\n "properties": {"label": {"enum": ["good", "bad"]}}, …}';
let forms = 0; // each has ids of its own

/** @param {Format} saved @param {() => void} changed */
export function responseFormatForm(saved, changed) {
  const id = `schema-problem-${(forms += 1)}`;
  const problem = h("p", { class: "error", id });
  const schema = h("textarea", {
    class: "code",
    rows: 4,
    spellcheck: false,
    placeholder: EXAMPLE,
    value: saved.schema,
    oninput: update,
    "aria-describedby": id,
  });
  const attempts = h("input", {
    type: "number",
    min: 1,
    max: MAX_ATTEMPTS,
    inputMode: "numeric",
    placeholder: "2",
    value: saved.attempts ?? "",
    oninput: changed,
  });
  const escalate = modelSequence(saved.escalate, changed);
  const element = h(
    "details",
    { class: "response-format", open: Boolean(saved.schema.trim()) },
    h("summary", null, "Response format"),
    h("label", null, "JSON schema", schema),
    problem,
    h(
      "p",
      { class: "hint" },
      "Each response is checked. One that does not fit goes back to its model with the reason, then to the next models; it arrives when it is complete.",
    ),
    h("label", null, "Attempts of each model", attempts),
    escalate.element,
  );

  function update() {
    show();
    changed();
  }

  function show() {
    const found = schemaProblem(schema.value);
    setText(problem, found);
    schema.setAttribute("aria-invalid", String(Boolean(found)));
  }

  show();
  return {
    element,
    /** @returns {Format} */
    value: () => ({
      schema: schema.value,
      attempts: Number.isInteger(attempts.valueAsNumber) ? attempts.valueAsNumber : null,
      escalate: escalate.value(),
    }),
    /** What is to be corrected, or "". */
    problem() {
      if (schemaProblem(schema.value)) return "Correct the JSON schema.";
      const isWrong = Boolean(schema.value.trim()) && !attempts.validity.valid;
      return isWrong ? `Attempts must be from 1 to ${MAX_ATTEMPTS}.` : "";
    },
    setModels: escalate.setModels,
  };
}

/** A list of models in the order in which they are asked. @param {string[]} saved @param {() => void} changed */
function modelSequence(saved, changed) {
  let names = [...saved];
  const known = h("datalist", { id: `known-models-${forms}` });
  const input = h("input", {
    type: "text",
    placeholder: "a model name",
    autocomplete: "off",
    spellcheck: false,
    "aria-label": "Ask next if no response fits",
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
      event.preventDefault(); // do not submit
      add();
    },
  });
  input.setAttribute("list", known.id);
  const list = h("ol", { class: "sequence", "aria-label": "Models that are asked next" });
  const addButton = h("button", { type: "button", onclick: add }, "Add");
  const element = h(
    "fieldset",
    null,
    h("legend", null, "Ask next if no response fits"),
    list,
    h("div", { class: "beside" }, input, addButton, known),
  );

  function add() {
    const name = input.value.trim();
    if (!name || names.includes(name) || names.length >= MAX_ESCALATE) return;
    names = [...names, name];
    input.value = "";
    announce(`${name} is asked next.`);
    show();
    changed();
  }

  /** @param {string} name */
  function remove(name) {
    names = names.filter((one) => one !== name);
    announce(`${name} removed.`);
    show();
    input.focus();
    changed();
  }

  /** @param {string} name */
  function item(name) {
    const button = h("button", { type: "button", class: "quiet small" }, "×");
    button.setAttribute("aria-label", `Do not ask ${name}`);
    button.addEventListener("click", () => remove(name));
    return h("li", null, h("span", null, name), button);
  }

  function show() {
    setChildren(list, names.map(item));
    list.hidden = !names.length;
    input.disabled = addButton.disabled = names.length >= MAX_ESCALATE;
  }

  show();
  return {
    element,
    value: () => names,
    /** @param {string[]} models that the gateway lists */
    setModels: (models) =>
      setChildren(
        known,
        models.map((name) => h("option", { value: name })),
      ),
  };
}
