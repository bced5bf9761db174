/** A dialog to copy a run as curl, as Python or as JSON. */

import { API_URL } from "../api/client.js";
import { copyText } from "../ui/clipboard.js";
import { h, setText } from "../ui/dom.js";
import { curlSnippet, jsonResults, pythonSnippet } from "./snippets.js";

/** @param {import("./run.js").Run} run @param {HTMLElement} opener gets the focus when the dialog closes */
export function copyDialog(run, opener) {
  const base = API_URL.href.replace(/\/$/, "");
  /** @type {[string, () => string][]} */
  const formats = [
    ["curl", () => curlSnippet(base, run)],
    ["Python", () => pythonSnippet(base, run)],
    ["JSON", () => jsonResults(run)],
  ];
  const code = h("code");
  const pre = h("pre", { class: "snippet", tabIndex: 0 }, code);
  const status = h("span", { class: "hint" });
  const buttons = formats.map(([name, make]) =>
    h("button", { type: "button", class: "quiet", onclick: () => choose(name, make) }, name),
  );

  /** @param {string} name @param {() => string} make */
  function choose(name, make) {
    setText(code, make());
    setText(status, "");
    pre.setAttribute("aria-label", `The run as ${name}`);
    for (const button of buttons)
      button.setAttribute("aria-pressed", String(button.textContent === name));
  }

  async function copy() {
    const isCopied = await copyText(code.textContent ?? "", code);
    setText(status, isCopied ? "Copied." : "Selected: press Ctrl + C.");
  }

  const dialog = h(
    "dialog",
    { "aria-label": "Copy this run", onclose: () => (dialog.remove(), opener.focus()) },
    h("div", { class: "tabs", role: "group", "aria-label": "Format" }, buttons),
    pre,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "primary", onclick: () => void copy() }, "Copy"),
      h("button", { type: "button", onclick: () => dialog.close() }, "Close"),
      status,
    ),
    h(
      "p",
      { class: "hint" },
      "The code reads the API key from the environment variable FANOUT_KEY.",
    ),
  );
  document.body.append(dialog);
  const [name, make] = /** @type {[string, () => string]} */ (formats[0]);
  choose(name, make);
  dialog.showModal();
}
