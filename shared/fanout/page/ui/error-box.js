/** A place for what went wrong, in plain words, with what to do. */

import { ApiError } from "../api/client.js";
import { fill, h } from "./dom.js";
import { explain } from "./error-messages.js";

export function faultBox() {
  const element = h("div", { class: "fault-box", role: "alert", hidden: true });
  return {
    element,
    /** What the gateway said, or what this page could not read. @param {unknown} error */
    tell(error) {
      if (!(error instanceof Error)) throw error;
      const { what, advice, details } =
        error instanceof ApiError ? explain(error.fault) : unreadable(error);
      element.hidden = false;
      fill(
        element,
        h("p", null, h("strong", null, what), " ", advice),
        details && h("p", { class: "details" }, details),
      );
    },
    calm() {
      element.hidden = true;
      fill(element);
    },
  };
}

/** @param {Error} error */
function unreadable(error) {
  return {
    what: "The file cannot be read.",
    advice: "Mend it, and try again.",
    details: error.message,
  };
}
