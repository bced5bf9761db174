/** What a job's lines wait for, why and until when, as the API reports it. */

import { h, setChildren } from "../ui/dom.js";
import { formatClock } from "../ui/format.js";
import { FINAL_STATUSES } from "./job-status.js";

/** @typedef {{reason: string, message: string, until: number | null}} Wait */

/** `5 lines wait: …, next attempt 14:37:05`. @param {Wait} wait @param {number} [now] */
export function waitText(wait, now) {
  if (wait.until === null) return `${wait.message}.`;
  const next = wait.reason === "rate_limit" ? "next line" : "next attempt";
  return `${wait.message}, ${next} ${formatClock(wait.until, now)}.`;
}

export function waitsView() {
  const element = h("div", { class: "note-box", hidden: true });
  let shown = "";
  return {
    element,
    /** @param {any} batch */
    update(batch) {
      /** @type {Wait[]} */
      const waits = FINAL_STATUSES.has(batch.status) ? [] : (batch.fanout?.waits ?? []);
      const texts = waits.map((one) => waitText(one));
      if (texts.join("\n") === shown) return;
      shown = texts.join("\n");
      element.hidden = !texts.length;
      setChildren(
        element,
        texts.map((text) => h("p", null, text)),
      );
    },
  };
}
