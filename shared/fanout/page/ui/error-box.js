/** A box that shows an error in plain words, with what to do about it. */

import { ApiError } from "../api/client.js";
import { h, setChildren } from "./dom.js";
import { explainError } from "./error-messages.js";

export function errorBox() {
  const element = h("div", { class: "error-box", role: "alert", hidden: true });
  return {
    element,
    /** An error of the gateway, or of reading a file. @param {unknown} error */
    show(error) {
      if (!(error instanceof Error)) throw error;
      const { what, advice, details } =
        error instanceof ApiError ? explainError(error.info) : unreadableFile(error);
      element.hidden = false;
      setChildren(
        element,
        h("p", null, h("strong", null, what), " ", advice),
        details && h("p", { class: "details" }, details),
      );
    },
    clear() {
      element.hidden = true;
      setChildren(element);
    },
  };
}

/** @param {Error} error */
function unreadableFile(error) {
  return {
    what: "The file cannot be read.",
    advice: "Correct it and try again.",
    details: error.message,
  };
}
