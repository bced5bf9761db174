/** A run to take along: as curl, as Python, as JSON. */

import { BASE } from "../api/client.js";
import { announce, h, say } from "../ui/dom.js";
import { curl, python, results } from "./snippets.js";

/** @param {import("./run.js").Run} run @param {HTMLElement} opener gets the focus back */
export function copyDialog(run, opener) {
  const base = BASE.href.replace(/\/$/, "");
  /** @type {[string, () => string][]} */
  const forms = [
    ["curl", () => curl(base, run)],
    ["Python", () => python(base, run)],
    ["JSON", () => results(run)],
  ];
  const code = h("code");
  const pre = h("pre", { class: "snippet", tabIndex: 0 }, code);
  const copied = h("span", { class: "hint" });
  const buttons = forms.map(([name, make]) =>
    h("button", { type: "button", class: "quiet", onclick: () => choose(name, make) }, name),
  );

  /** @param {string} name @param {() => string} make */
  function choose(name, make) {
    say(code, make());
    say(copied, "");
    pre.setAttribute("aria-label", `The run as ${name}`);
    for (const button of buttons)
      button.setAttribute("aria-pressed", String(button.textContent === name));
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(code.textContent ?? "");
      say(copied, "Copied.");
      announce("Copied.");
    } catch {
      getSelection()?.selectAllChildren(code); // no clipboard without https: the user's own keys do it
      say(copied, "Selected: press Ctrl + C.");
    }
  }

  const dialog = h(
    "dialog",
    { "aria-label": "Copy this run", onclose: () => (dialog.remove(), opener.focus()) },
    h("div", { class: "tabs", role: "group", "aria-label": "Form" }, buttons),
    pre,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "primary", onclick: () => void copy() }, "Copy"),
      h("button", { type: "button", onclick: () => dialog.close() }, "Close"),
      copied,
    ),
    h(
      "p",
      { class: "hint" },
      "The key is read from the variable FANOUT_KEY; it is not in the text.",
    ),
  );
  document.body.append(dialog);
  const [name, make] = /** @type {[string, () => string]} */ (forms[0]);
  choose(name, make);
  dialog.showModal();
}
