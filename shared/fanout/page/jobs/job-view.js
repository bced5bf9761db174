/** One job as it runs: how far it is, how fast, what it costs, and what failed and why. */

import { ApiError, ask, json, post } from "../api/client.js";
import { poller } from "../api/poller.js";
import { announce, fill, h, save, say } from "../ui/dom.js";
import { faultBox } from "../ui/error-box.js";
import { FINAL, STATES } from "../ui/error-messages.js";
import { moment } from "../ui/format.js";
import { keep, recall } from "../ui/session.js";
import { failures } from "./failures.js";
import { progress } from "./progress.js";
import { mistakes } from "./quote.js";
import { withSample } from "./throughput.js";

const SAMPLES = "fanout.samples.";
const OFTEN = 1; // seconds between two looks at a job that runs
const AFTER_FAULT = 5;

/** @typedef {import("./throughput.js").Sample} Sample */

/** @param {string} id @param {(batch: any) => string} nameOf */
export function jobView(id, nameOf) {
  /** @type {Sample[]} */
  let samples = recall(SAMPLES + id, []);
  /** @type {any} */
  let batch = null;
  let status = "";
  let wasAway = false;
  const title = h("h2", { tabIndex: -1 }, "…");
  const state = h("span", { class: "state" });
  const about = h("p", { class: "hint" });
  const fault = faultBox();
  const shown = progress();
  const causes = failures();
  const errors = h("div");
  const actions = h("div", { class: "actions" });
  const element = h(
    "section",
    { class: "job", "aria-label": "Job" },
    h("header", null, title, state),
    about,
    fault.element,
    shown.bar,
    shown.tiles,
    actions,
    errors,
    causes.element,
    shown.charts,
  );

  const watch = poller(async () => {
    try {
      batch = await json(`batches/${id}`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.fault.status === 0) throw error;
      wasAway = true;
      fault.tell(error);
      return error.fault.status === 404 ? null : AFTER_FAULT;
    }
    if (wasAway) fault.calm(); // what an action said stays until the next one
    wasAway = false;
    sample();
    show();
    causes.update(batch);
    return FINAL.has(batch.status) ? null : OFTEN;
  });

  function sample() {
    const { completed, failed } = batch.request_counts;
    const before = samples.at(-1);
    if (FINAL.has(batch.status) && (!before || before.done === completed + failed)) return;
    if (batch.status === "validating") return;
    const { in_flight: inFlight = null, refused = null } = batch.fanout ?? {};
    samples = withSample(samples, { at: Date.now(), done: completed + failed, inFlight, refused });
    keep(SAMPLES + id, samples);
  }

  function show() {
    say(title, nameOf(batch));
    say(state, STATES[batch.status] ?? batch.status);
    state.className = `state is-${batch.status}`;
    say(about, aboutOf(batch));
    shown.update(batch, samples);
    if (batch.status !== status) changed();
  }

  /** Its state is another: other things can be done with it. */
  function changed() {
    if (status) announce(`${nameOf(batch)}: ${STATES[batch.status] ?? batch.status}.`);
    status = batch.status;
    fill(errors, batch.errors && mistakesOf(batch));
    const isOver = FINAL.has(status);
    fill(
      actions,
      !isOver &&
        h(
          "button",
          {
            type: "button",
            disabled: status === "cancelling",
            onclick: (/** @type {Event} */ e) => void act(e, "cancel"),
          },
          "Cancel",
        ),
      batch.output_file_id &&
        h(
          "button",
          {
            type: "button",
            class: "primary",
            onclick: () => void download(batch.output_file_id, "output"),
          },
          "Download the answers",
        ),
      batch.error_file_id &&
        h(
          "button",
          { type: "button", onclick: () => void download(batch.error_file_id, "errors") },
          "Download the errors",
        ),
      isOver &&
        batch.error_file_id &&
        h(
          "button",
          { type: "button", onclick: (/** @type {Event} */ e) => void act(e, "retry") },
          "Run the failed lines again",
        ),
    );
  }

  /** @param {Event} event @param {"cancel" | "retry"} what */
  async function act(event, what) {
    const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
    button.disabled = true;
    fault.calm();
    try {
      const said = await post(`batches/${id}/${what}`, {});
      if (what === "retry") location.hash = `#/jobs/${said.id}`;
      else watch.start();
    } catch (error) {
      button.disabled = false;
      fault.tell(error);
    }
  }

  /** @param {string} file @param {string} what */
  async function download(file, what) {
    try {
      const response = await ask(`files/${file}/content`);
      save(
        await response.blob(),
        `${nameOf(batch)
          .replace(/\.jsonl$/, "")
          .replace(/[^\w.-]+/g, "-")}.${what}.jsonl`,
      );
    } catch (error) {
      fault.tell(error);
    }
  }

  watch.start();
  return { element, stop: () => watch.stop() };
}

/** @param {any} batch */
function aboutOf(batch) {
  const words = [`Started ${moment(batch.created_at)}`, batch.model ?? "", batch.id];
  if (batch.fanout?.retry_of) words.push(`the failed lines of ${batch.fanout.retry_of}`);
  if (!FINAL.has(batch.status)) words.push(`ends by ${moment(batch.expires_at)}`);
  return words.filter(Boolean).join(" · ");
}

/** @param {any} batch */
function mistakesOf(batch) {
  const list = batch.errors.data;
  if (batch.status === "failed") return mistakes(list);
  return h(
    "div",
    { class: "note-box" },
    list.map((/** @type {any} */ error) => h("p", null, error.message)),
  );
}
