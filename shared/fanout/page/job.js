/** One job as it runs: how far it is, how fast, what it costs, and what failed and why. */

import { ApiError, ask, json, post } from "./api.js";
import { chart } from "./chart.js";
import { announce, fill, h, save, say } from "./dom.js";
import { failures } from "./failures.js";
import { count, moment, money, plural, span, UNKNOWN } from "./format.js";
import { poller } from "./poll.js";
import { mistakes } from "./quote.js";
import { rate, ratePoints, refusals, secondsLeft, withSample } from "./rates.js";
import { keep, recall } from "./store.js";
import { explain, FINAL, STATES } from "./words.js";

const SAMPLES = "fanout.samples.";
const TILES = ["Done", "Failed", "Speed", "Time left", "Cost", "Tokens"];

/** @typedef {import("./rates.js").Sample} Sample */

/** @param {string} id @param {(batch: any) => string} nameOf */
export function jobView(id, nameOf) {
  /** @type {Sample[]} */
  let samples = recall(SAMPLES + id, []);
  /** @type {any} */
  let batch = null;
  let status = "";
  const title = h("h2", { tabIndex: -1 }, "…");
  const state = h("span", { class: "state" });
  const about = h("p", { class: "hint" });
  const fault = h("div", { class: "fault-box", role: "alert", hidden: true });
  const bar = h(
    "div",
    {
      class: "bar",
      role: "progressbar",
      "aria-label": "Lines done",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
    },
    h("span", { class: "done" }),
    h("span", { class: "bad" }),
  );
  const values = TILES.map(() => h("dd", null, UNKNOWN));
  const tiles = h(
    "dl",
    { class: "tiles" },
    TILES.map((name, at) => h("div", null, h("dt", null, name), values[at])),
  );
  const speed = chart("Lines a second", "");
  const flight = chart("Calls in flight", "");
  const charts = h("div", { class: "charts" }, speed.element, flight.element);
  const causes = failures();
  const errors = h("div");
  const actions = h("div", { class: "actions" });
  const element = h(
    "section",
    { class: "job", "aria-label": "Job" },
    h("header", null, title, state),
    about,
    fault,
    bar,
    tiles,
    actions,
    errors,
    causes.element,
    charts,
  );

  const watch = poller(async () => {
    try {
      batch = await json(`batches/${id}`);
    } catch (error) {
      if (error instanceof ApiError && error.fault.status !== 0) tell(error);
      throw error;
    }
    fault.hidden = true;
    const isOver = FINAL.has(batch.status);
    sample();
    show();
    causes.update(batch);
    return isOver ? null : 1;
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
    const { total, completed, failed } = batch.request_counts;
    const isOver = FINAL.has(batch.status);
    say(title, nameOf(batch));
    say(state, STATES[batch.status] ?? batch.status);
    state.className = `state is-${batch.status}`;
    say(about, aboutOf(batch));
    const share = (/** @type {number} */ part) => (total ? (part / total) * 100 : 0);
    bar.setAttribute("aria-valuenow", String(Math.floor(share(completed + failed))));
    bar.style.setProperty("--done", String(share(completed)));
    bar.style.setProperty("--lost", String(share(failed)));
    const perSecond = isOver ? overall(batch) : rate(samples);
    const left = isOver ? null : secondsLeft(total - completed - failed, perSecond);
    const texts = [
      `${count(completed)} of ${count(total)}`,
      count(failed),
      perSecond === null ? UNKNOWN : `${perSecond.toFixed(perSecond < 10 ? 1 : 0)} lines/s`,
      isOver ? "over" : left === null ? UNKNOWN : `about ${span(left)}`,
      costOf(batch),
      `${count(batch.usage.input_tokens)} in, ${count(batch.usage.output_tokens)} out`,
    ];
    texts.forEach((text, at) => say(/** @type {Node} */ (values[at]), text));
    charts.hidden = samples.length < 3;
    const refused = samples.at(-1)?.refused;
    speed.update(ratePoints(samples), [], "As seen from this page.");
    const points = samples.map((one) => ({ at: one.at, value: one.inFlight }));
    flight.update(
      points,
      refusals(samples),
      refused
        ? `${plural(refused, "call was", "calls were")} answered “too many requests” (red).`
        : "No call was answered “too many requests”.",
    );
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
    try {
      const said = await post(`batches/${id}/${what}`, {});
      if (what === "retry") location.hash = `#/jobs/${said.id}`;
      else watch.start();
    } catch (error) {
      button.disabled = false;
      tell(error);
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
      tell(error);
    }
  }

  /** @param {unknown} error */
  function tell(error) {
    if (!(error instanceof ApiError)) throw error;
    const { what, advice, details } = explain(error.fault);
    fault.hidden = false;
    fill(
      fault,
      h("p", null, h("strong", null, what), " ", advice),
      details && h("p", { class: "details" }, details),
    );
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

/** Lines a second of a job that is over. @param {any} batch */
function overall(batch) {
  const end = batch.finalizing_at ?? batch.completed_at ?? batch.cancelled_at ?? batch.expired_at;
  const { completed, failed } = batch.request_counts;
  const seconds = batch.in_progress_at && end ? end - batch.in_progress_at : 0;
  return seconds > 0 ? (completed + failed) / seconds : null;
}

/** @param {any} batch */
function costOf(batch) {
  const cap = batch.fanout?.max_cost_usd;
  const isPriced = batch.cost_usd > 0 || !batch.usage.total_tokens;
  const spent = isPriced ? money(batch.cost_usd) : "no price known";
  return cap ? `${spent} of ${money(cap)}` : spent;
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
