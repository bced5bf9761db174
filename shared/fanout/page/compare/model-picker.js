/** Which models: those that the gateway lists as pills to tick, and any other by its name. */

import { fill, h, say } from "../ui/dom.js";
import { MOST_MODELS } from "./run.js";

const USUAL = 3; // ticked where nothing was chosen before
const MANY = 12; // from here on there is a field to search them

/** @param {string[]} kept @param {() => void} changed */
export function modelPicker(kept, changed) {
  /** @type {string[]} */
  let names = [];
  let isKnown = false;
  const chosen = new Set(kept);
  const pills = h("div", { class: "pills" });
  const counted = h("span", { class: "count" });
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
    const wanted = search.value.trim().toLowerCase();
    const all = [...names, ...[...chosen].filter((name) => !names.includes(name))];
    search.hidden = all.length < MANY;
    const shown = all.filter((name) => chosen.has(name) || name.toLowerCase().includes(wanted));
    fill(
      pills,
      shown.length
        ? shown.map(pill)
        : h(
            "p",
            { class: "hint" },
            isKnown ? "The gateway lists none: name one below." : "Asking the gateway …",
          ),
    );
    count();
  }

  function count() {
    say(counted, `${chosen.size} of ${MOST_MODELS}`);
    for (const box of pills.querySelectorAll("input"))
      box.disabled = !box.checked && chosen.size >= MOST_MODELS;
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
        count();
        changed();
      },
    });
    return h("label", { class: "pill" }, box, h("span", null, name));
  }

  function addOther() {
    const name = other.value.trim();
    if (!name || chosen.size >= MOST_MODELS) return;
    chosen.add(name);
    other.value = "";
    show();
    changed();
  }

  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) event.preventDefault(); // searching asks nobody
  });
  other.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    addOther();
  });

  const element = h(
    "fieldset",
    { class: "models" },
    h("legend", null, "Models ", counted),
    search,
    pills,
    h("div", { class: "beside" }, other, h("button", { type: "button", onclick: addOther }, "Add")),
  );
  show();
  return {
    element,
    chosen: () => [...chosen].sort((a, b) => place(a) - place(b)),
    /** @param {string[]} listed */
    known(listed) {
      names = listed;
      isKnown = true;
      if (!chosen.size) for (const name of names.slice(0, USUAL)) chosen.add(name);
      show();
    },
  };

  /** As they are listed; what is not, last. @param {string} name */
  function place(name) {
    const at = names.indexOf(name);
    return at === -1 ? names.length : at;
  }
}
