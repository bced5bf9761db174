/** The votes behind a response, or the verdict of its judge. */

import { h, setChildren } from "../ui/dom.js";
import { formatUsd, plural } from "../ui/format.js";
import { answerText, decisionTitle } from "./decision.js";

/** @typedef {import("./run.js").Leg} Leg */

/** @param {Leg} result the response that was decided on */
export function decisionView(result) {
  const element = h("section", { class: "decision", "aria-label": "Decision", hidden: true });
  /** @type {Leg["decision"]} */
  let shown = null;
  return {
    element,
    update() {
      const { decision } = result;
      if (decision === shown) return;
      shown = decision;
      element.hidden = !decision;
      if (!decision) return;
      const { agree, judge } = decision;
      element.classList.toggle("is-undecided", agree?.decided === false);
      setChildren(
        element,
        h("h3", null, decisionTitle(result)),
        agree && votes(agree),
        judge && verdict(judge),
      );
    },
  };
}

/** @param {any} agree of the gateway's report */
function votes({ votes: ballots, fields, calls, calls_saved: saved, saved_usd: dollars }) {
  const notMade = saved
    ? `; ${saved} not made${dollars ? `, ${formatUsd(dollars)} saved` : ""}`
    : "";
  const compared = fields.length ? `compared: ${fields.join(", ")}; ` : "";
  return [
    h(
      "ul",
      { class: "votes", "aria-label": "Votes" },
      ballots.map((/** @type {any} */ ballot) =>
        h(
          "li",
          null,
          h("b", null, plural(ballot.votes, "vote")),
          h("q", null, answerText(ballot.value)),
          h("span", { class: "voters" }, ballot.models.join(", ")),
        ),
      ),
    ),
    h("p", { class: "hint" }, `${compared}${plural(calls, "call")}${notMade}`),
  ];
}

/** @param {any} judge of the gateway's report */
function verdict({ scores, tie, reason, error, cost_usd: cost }) {
  const why = reason ?? error?.message;
  const facts = [
    tie.length ? `tie: ${tie.join(", ")}` : "",
    cost === null ? "" : `the judge costs ${formatUsd(cost)}`,
  ].filter(Boolean);
  return [
    why && h("p", { class: "reason" }, why),
    scores.length > 0 &&
      h(
        "ul",
        { class: "votes", "aria-label": "Scores" },
        scores.map((/** @type {any} */ one) =>
          h("li", null, h("b", null, String(one.score)), h("span", { class: "voters" }, one.model)),
        ),
      ),
    facts.length > 0 && h("p", { class: "hint" }, facts.join("; ")),
  ];
}
