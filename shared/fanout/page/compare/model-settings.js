/** The parameters of single models, where they differ from those of the request. */

import { h, setChildren, setText } from "../ui/dom.js";

/** @typedef {import("./run.js").Settings} Settings */

/** @param {Record<string, Settings>} saved @param {() => void} changed */
export function modelSettings(saved, changed) {
  /** What the user has set, also of models that are not chosen now. @type {Map<string, Settings>} */
  const settings = new Map(Object.entries(saved));
  /** @type {string[]} */
  let shown = [];
  const rows = h("tbody");
  const hint = h("p", { class: "hint" });
  const table = h(
    "table",
    { class: "model-settings" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        ["Model", "Max tokens", "Temperature"].map((name) => h("th", { scope: "col" }, name)),
      ),
    ),
    rows,
  );
  const element = h(
    "details",
    { open: settings.size > 0 },
    h("summary", null, "Single models"),
    table,
    hint,
  );

  /** @param {string} model @param {keyof Settings} name @param {Record<string, any>} props */
  function field(model, name, props) {
    const input = h("input", {
      type: "number",
      placeholder: "as above",
      ...props,
      value: settings.get(model)?.[name] ?? "",
      oninput() {
        const value = Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : null;
        const now = { maxTokens: null, temperature: null, ...settings.get(model), [name]: value };
        if (now.maxTokens === null && now.temperature === null) settings.delete(model);
        else settings.set(model, now);
        changed();
      },
    });
    return h("td", null, input);
  }

  /** @param {string} model */
  function row(model) {
    return h(
      "tr",
      null,
      h("th", { scope: "row", title: model }, model),
      field(model, "maxTokens", { min: 1, max: 1_000_000, "aria-label": `Max tokens of ${model}` }),
      field(model, "temperature", {
        min: 0,
        max: 2,
        step: 0.1,
        "aria-label": `Temperature of ${model}`,
      }),
    );
  }

  return {
    element,
    /** Shows the rows of these models. @param {string[]} models @param {import("./run.js").Draft["mode"]} mode */
    show(models, mode) {
      table.hidden = mode !== "all";
      hint.hidden = mode === "all";
      setText(hint, `${mode === "race" ? "A race" : "This mode"} asks all models alike.`);
      if (models.join("\n") === shown.join("\n")) return;
      shown = models;
      setChildren(rows, models.map(row));
    },
    /** The settings of these models. @param {string[]} models @returns {Record<string, Settings>} */
    value: (models) => Object.fromEntries([...settings].filter(([name]) => models.includes(name))),
  };
}
