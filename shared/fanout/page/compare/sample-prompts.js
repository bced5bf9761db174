/** What is shown before the first run: what the view does, and prompts to begin with. */

import { h } from "../ui/dom.js";

const SAMPLES = [
  "Explain in three sentences why the sky is blue.",
  "Write a slogan for a bakery that opens at five in the morning.",
  "A bat and a ball cost $1.10 together. The bat costs $1.00 more than the ball. What does the ball cost?",
];

/** @param {(text: string) => void} useSample */
export function samplePrompts(useSample) {
  return h(
    "div",
    { class: "empty" },
    h("h2", null, "Ask several models at once"),
    h(
      "p",
      null,
      "Pick models and write a prompt. The responses appear side by side, each with its speed, length and cost.",
    ),
    h(
      "p",
      null,
      "In a race, the first model to respond wins and the others are cancelled. Several prompts make a grid.",
    ),
    h("p", null, "Or begin with a sample:"),
    h(
      "ul",
      { class: "samples" },
      SAMPLES.map((text) =>
        h("li", null, h("button", { type: "button", onclick: () => useSample(text) }, text)),
      ),
    ),
  );
}
