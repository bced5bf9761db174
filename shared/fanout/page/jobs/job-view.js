/** One job: its progress, speed and cost, its failures, its downloads, and what can be done with it. */

import { ApiError, postJson, request, requestJson } from "../api/client.js";
import { poller } from "../api/poller.js";
import { announce, downloadBlob, h, setChildren, setText } from "../ui/dom.js";
import { errorBox } from "../ui/error-box.js";
import { formatTimestamp } from "../ui/format.js";
import { loadFromSession, saveToSession } from "../ui/session.js";
import { failuresView } from "./failures.js";
import { FINAL_STATUSES, hasFileErrors, stateOf, statusLabel } from "./job-status.js";
import { progressView } from "./progress.js";
import { fileErrors } from "./quote.js";
import { rowsView } from "./rows-view.js";
import { addSample } from "./throughput.js";
import { waitsView } from "./waits.js";

const SAMPLES_ITEM = "fanout.samples.";
const POLL = 1; // seconds between two requests for a job that runs
const ERROR_POLL = 5;

/** @typedef {import("./throughput.js").Sample} Sample */

/** @param {string} id @param {(batch: any) => string} nameOf */
export function jobView(id, nameOf) {
  /** @type {Sample[]} */
  let samples = loadFromSession(SAMPLES_ITEM + id, []);
  /** @type {any} */
  let batch = null;
  let status = "";
  let pollFailed = false;
  const title = h("h2", { tabIndex: -1 }, "…");
  const state = h("span", { class: "state" });
  const about = h("p", { class: "hint" });
  const errorDisplay = errorBox();
  const progress = progressView();
  const failures = failuresView();
  const waits = waitsView();
  const rows = rowsView((error) => errorDisplay.show(error), downloadName);
  const errors = h("div");
  const actions = h("div", { class: "actions" });
  const element = h(
    "section",
    { class: "job", "aria-label": "Job" },
    h("header", null, title, state),
    about,
    errorDisplay.element,
    progress.bar,
    progress.tiles,
    waits.element,
    actions,
    errors,
    failures.element,
    rows.element,
    progress.charts,
  );

  const watch = poller(async () => {
    try {
      batch = await requestJson(`batches/${id}`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.info.status === 0) throw error;
      pollFailed = true;
      errorDisplay.show(error);
      return error.info.status === 404 ? null : ERROR_POLL;
    }
    if (pollFailed) errorDisplay.clear(); // the error of an action stays until the next action
    pollFailed = false;
    takeSample();
    show();
    failures.update(batch);
    waits.update(batch);
    return FINAL_STATUSES.has(batch.status) ? null : POLL;
  });

  function takeSample() {
    const { completed, failed } = batch.request_counts;
    const last = samples.at(-1);
    if (FINAL_STATUSES.has(batch.status) && (!last || last.done === completed + failed)) return;
    if (batch.status === "validating") return;
    const { in_flight: inFlight = null, refused = null } = batch.fanout ?? {};
    samples = addSample(samples, { at: Date.now(), done: completed + failed, inFlight, refused });
    saveToSession(SAMPLES_ITEM + id, samples);
  }

  function show() {
    setText(title, nameOf(batch));
    setText(state, statusLabel(batch));
    state.className = `state is-${stateOf(batch)}`;
    setText(about, aboutOf(batch));
    progress.update(batch, samples);
    if (stateOf(batch) !== status) statusChanged();
  }

  /** Announces a new status, and shows the actions that it allows. */
  function statusChanged() {
    if (status) announce(`${nameOf(batch)}: ${statusLabel(batch)}.`);
    status = stateOf(batch);
    setChildren(errors, batch.errors && errorsOf(batch));
    const isOver = FINAL_STATUSES.has(batch.status);
    if (isOver) void rows.load(batch);
    setChildren(
      actions,
      !isOver &&
        h(
          "button",
          {
            type: "button",
            disabled: batch.status === "cancelling",
            onclick: (/** @type {Event} */ e) => void act(e, "cancel"),
          },
          "Cancel",
        ),
      isOver &&
        batch.output_file_id &&
        h(
          "button",
          {
            type: "button",
            class: "primary",
            onclick: () => void download(batch.output_file_id, "output"),
          },
          "Download responses",
        ),
      batch.error_file_id &&
        h(
          "button",
          { type: "button", onclick: () => void download(batch.error_file_id, "errors") },
          "Download errors",
        ),
      isOver &&
        batch.error_file_id &&
        h(
          "button",
          { type: "button", onclick: (/** @type {Event} */ e) => void act(e, "retry") },
          "Run failed lines again",
        ),
      (isOver || status === "stopped") &&
        h(
          "button",
          { type: "button", onclick: (/** @type {Event} */ e) => void remove(e) },
          "Delete",
        ),
    );
  }

  /** @param {Event} event @param {"cancel" | "retry"} action */
  async function act(event, action) {
    const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
    button.disabled = true;
    errorDisplay.clear();
    try {
      const created = await postJson(`batches/${id}/${action}`, {});
      if (action === "retry") location.hash = `#/jobs/${created.id}`;
      else watch.start();
    } catch (error) {
      button.disabled = false;
      errorDisplay.show(error);
    }
  }

  /** Deletes the job and its responses, if the user confirms it. @param {Event} event */
  async function remove(event) {
    if (!confirm(`Delete ${nameOf(batch)} and its responses?`)) return;
    const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
    button.disabled = true;
    errorDisplay.clear();
    try {
      await request(`batches/${id}`, { method: "DELETE" });
      watch.stop();
      announce(`${nameOf(batch)} is deleted.`);
      location.hash = "#/jobs";
    } catch (error) {
      button.disabled = false;
      errorDisplay.show(error);
    }
  }

  function downloadName() {
    return nameOf(batch)
      .replace(/\.(jsonl|csv|tsv)$/i, "")
      .replace(/[^\w.-]+/g, "-");
  }

  /** @param {string} file @param {string} what */
  async function download(file, what) {
    try {
      const response = await request(`files/${file}/content`);
      downloadBlob(await response.blob(), `${downloadName()}.${what}.jsonl`);
    } catch (error) {
      errorDisplay.show(error);
    }
  }

  watch.start();
  return { element, stop: () => watch.stop() };
}

/** @param {any} batch */
function aboutOf(batch) {
  const parts = [`Started ${formatTimestamp(batch.created_at)}`, batch.model ?? "", batch.id];
  if (batch.fanout?.retry_of) parts.push(`failed lines of ${batch.fanout.retry_of}`);
  if (!FINAL_STATUSES.has(batch.status)) parts.push(`expires ${formatTimestamp(batch.expires_at)}`);
  return parts.filter(Boolean).join(" · ");
}

/** @param {any} batch */
function errorsOf(batch) {
  const list = batch.errors.data;
  if (hasFileErrors(batch)) return fileErrors(list);
  return h(
    "div",
    { class: "note-box" },
    list.map((/** @type {any} */ error) => h("p", null, error.message)),
  );
}
