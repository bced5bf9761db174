/** Picks the models: the gateway's list as checkboxes, and a field to name any other model. */

import { h, setChildren, setText } from "../ui/dom.js";
import { MAX_MODELS } from "./run.js";

const PRESELECTED = 3; // models, if none was chosen before and the list is short
const MIN_TO_SEARCH = 12; // models, from which on there is a search field

/** @param {string[]} saved @param {() => void} changed */
export function modelPicker(saved, changed) {
  /** @type {string[]} */
  let listed = [];
  let isLoaded = false;
  const chosen = new Set(saved);
  const pills = h("div", { class: "pills" });
  const counter = h("span", { class: "count" });
  const other = h("input", {
    type: "text",
    placeholder: "provider/model",
    autocomplete: "off",
    spellcheck: false,
    "aria-label": "Another model",
  });
  const search = h("input", {
    type: "search",
    placeholder: "Search models",
    "aria-label": "Search models",
    hidden: true,
    oninput: show,
  });

  function show() {
    const query = search.value.trim().toLowerCase();
    const all = [...listed, ...[...chosen].filter((name) => !listed.includes(name))];
    const isLong = all.length >= MIN_TO_SEARCH;
    search.hidden = !isLong;
    const found = all.filter((name) => chosen.has(name) || name.toLowerCase().includes(query));
    const isLater = (/** @type {string} */ name) => Number(isLong && !chosen.has(name));
    const shown = found.sort((a, b) => isLater(a) - isLater(b)); // the chosen ones stay in sight
    setChildren(
      pills,
      shown.length
        ? shown.map(pill)
        : h(
            "p",
            { class: "hint" },
            isLoaded
              ? "The gateway lists no models. Enter a model name below."
              : "Loading the models …",
          ),
    );
    updateCount();
  }

  function updateCount() {
    setText(counter, `${chosen.size} of ${MAX_MODELS}`);
    for (const box of pills.querySelectorAll("input"))
      box.disabled = !box.checked && chosen.size >= MAX_MODELS;
  }

  /** @param {string} name */
  function pill(name) {
    const box = h("input", {
      type: "checkbox",
      name: "model",
      value: name,
      checked: chosen.has(name),
      onchange: () => {
        if (box.checked) chosen.add(name);
        else chosen.delete(name);
        updateCount();
        changed();
      },
    });
    return h("label", { class: "pill" }, box, h("span", null, name));
  }

  function addOther() {
    const name = other.value.trim();
    if (!name || chosen.size >= MAX_MODELS) return;
    chosen.add(name);
    other.value = "";
    show();
    changed();
  }

  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) event.preventDefault(); // do not submit
  });
  other.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    addOther();
  });

  const element = h(
    "fieldset",
    { class: "models" },
    h("legend", null, "Models ", counter),
    search,
    pills,
    h("div", { class: "beside" }, other, h("button", { type: "button", onclick: addOther }, "Add")),
  );
  show();
  return {
    element,
    chosen: () => [...chosen].sort((a, b) => rank(a) - rank(b)),
    /** @param {string[]} names the models that the gateway lists */
    setListed(names) {
      listed = names;
      isLoaded = true;
      if (!chosen.size && listed.length < MIN_TO_SEARCH)
        for (const name of listed.slice(0, PRESELECTED)) chosen.add(name);
      show();
    },
  };

  /** The order of the gateway's list; models that it does not list come last. @param {string} name */
  function rank(name) {
    const at = listed.indexOf(name);
    return at === -1 ? listed.length : at;
  }
}
