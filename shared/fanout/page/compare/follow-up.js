/** The form under a run that sends the next message to the models that have responded. */

import { h, setText } from "../ui/dom.js";
import { plural } from "../ui/format.js";
import { nextConversations } from "./chat-requests.js";
import { isFinished } from "./run.js";

/** @typedef {import("./run.js").Run} Run */

/**
 * @param {Run} run
 * @param {(text: string) => boolean} send whether it has been sent: another run may be in flight
 */
export function followUp(run, send) {
  const text = h("textarea", { rows: 2, placeholder: "Write the next message" });
  const button = h("button", { type: "submit", class: "primary" });
  const form = h(
    "form",
    {
      class: "follow-up",
      hidden: true,
      "aria-label": "Continue the conversation",
      onsubmit: submit,
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
      },
    },
    h("label", null, "Next message", text),
    button,
  );

  /** @param {Event} event */
  function submit(event) {
    event.preventDefault();
    if (text.value.trim() && send(text.value)) text.value = "";
  }

  return {
    element: form,
    update() {
      const next = run.legs.every(isFinished) ? nextConversations(run) : null;
      form.hidden = !next;
      if (next) setText(button, `Send to ${plural(next.models.length, "model")}`);
    },
  };
}
