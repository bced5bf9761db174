/** The Jobs view: the list of jobs, and beside it one job or the form for a new one. */

import { ApiError, requestJson } from "../api/client.js";
import { poller } from "../api/poller.js";
import { h, setChildren, setText } from "../ui/dom.js";
import { explainError } from "../ui/error-messages.js";
import { formatCount, formatTimestamp } from "../ui/format.js";
import { FINAL_STATUSES, stateOf, statusLabel } from "./job-status.js";
import { jobView } from "./job-view.js";
import { newJobForm } from "./new-job.js";

const RUNNING_POLL = 2; // seconds between two requests for the list while a job runs
const IDLE_POLL = 10;
const MAX_JOBS = 50;

/** @typedef {any} Batch OpenAI's batch object with Fanout's own fields */

export function jobsView() {
  /** @type {Map<string, string>} file names by file id */
  const names = new Map();
  const list = h("ul", { class: "jobs-list" });
  const error = h("p", { class: "error", role: "alert" });
  const form = newJobForm((batch) => {
    location.hash = `#/jobs/${batch.id}`;
    watch.start();
  });
  const place = h("div", { class: "job-place" });
  const newJobLink = h("a", { class: "button primary", href: "#/jobs" }, "New job");
  const aside = h(
    "aside",
    { "aria-label": "Jobs" },
    h("div", { class: "aside-head" }, h("h2", null, "Jobs"), newJobLink),
    error,
    list,
  );
  const element = h("div", { class: "jobs" }, aside, place);
  /** @type {ReturnType<typeof jobView> | null} */
  let job = null;
  let current = "";

  const watch = poller(async () => {
    try {
      const [batches, files] = await Promise.all([
        requestJson(`batches?limit=${MAX_JOBS}`),
        requestJson("files?purpose=batch&limit=200"),
      ]);
      for (const file of files.data) names.set(file.id, file.filename);
      form.setFiles(files.data);
      show(batches.data);
      setText(error, "");
      return batches.data.some((/** @type {Batch} */ one) => !FINAL_STATUSES.has(one.status))
        ? RUNNING_POLL
        : IDLE_POLL;
    } catch (reason) {
      if (!(reason instanceof ApiError) || reason.info.status === 0) throw reason;
      const { status } = reason.info;
      setText(
        error,
        status === 404 ? "This gateway does not run jobs." : explainError(reason.info).what,
      );
      return status === 401 ? RUNNING_POLL : IDLE_POLL;
    }
  });

  /** @type {Map<string, ReturnType<typeof jobRow>>} */
  let rows = new Map();
  const noJobs = h("li", { class: "hint" }, "No jobs yet. Drop a file to start one.");

  /**
   * Keeps the elements of known jobs, since one of them may have the focus.
   * @param {Batch[]} batches
   */
  function show(batches) {
    rows = new Map(batches.map((batch) => [batch.id, rows.get(batch.id) ?? jobRow(batch.id)]));
    for (const batch of batches) rows.get(batch.id)?.update(batch, nameOf(batch, names));
    const wanted = batches.length ? [...rows.values()].map((row) => row.element) : [noJobs];
    if (
      wanted.some((one, at) => one !== list.children[at]) ||
      wanted.length !== list.children.length
    )
      setChildren(list, wanted);
    markCurrent();
  }

  function markCurrent() {
    for (const [id, row] of rows) row.setCurrent(id === current);
  }

  return {
    element,
    /** @param {string[]} models */
    setModels: (models) => form.setModels(models),
    /**
     * Shows the job with this id, or the form for `""`. `null` stops the polling: the view is hidden.
     * @param {string | null} id
     */
    show(id) {
      job?.stop();
      job = null;
      if (id === null) {
        watch.stop();
        return;
      }
      current = id;
      watch.start();
      if (id) {
        job = jobView(id, (batch) => nameOf(batch, names));
        setChildren(place, job.element);
        // On a phone the list is below the job.
        if (matchMedia("(max-width: 60rem)").matches) place.scrollIntoView({ block: "start" });
      } else if (place.firstElementChild !== form.element) setChildren(place, form.element);
      markCurrent();
    },
  };
}

/** One job in the list. @param {string} id */
function jobRow(id) {
  const name = h("span", { class: "job-name" });
  const state = h("span");
  const summary = h("span", { class: "job-summary" });
  const bar = h("span", { class: "thin-bar" });
  const link = h("a", { href: `#/jobs/${id}` }, name, state, summary, bar);
  return {
    element: h("li", null, link),
    /** @param {boolean} isCurrent */
    setCurrent(isCurrent) {
      if (isCurrent) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    },
    /** @param {Batch} batch @param {string} jobName */
    update(batch, jobName) {
      const { total, completed, failed } = batch.request_counts;
      const failures = failed ? `, ${formatCount(failed)} failed` : "";
      setText(name, jobName);
      setText(state, statusLabel(batch));
      state.className = `state is-${stateOf(batch)}`;
      setText(
        summary,
        `${formatCount(completed)} of ${formatCount(total)}${failures} · ${formatTimestamp(batch.created_at)}`,
      );
      bar.hidden = FINAL_STATUSES.has(batch.status) || stateOf(batch) === "stopped";
      bar.style.setProperty("--done", String(total ? ((completed + failed) / total) * 100 : 0));
    },
  };
}

/**
 * A job's name: the one in its metadata, otherwise its file's.
 * @param {Batch} batch
 * @param {Map<string, string>} names
 */
function nameOf(batch, names) {
  return batch.metadata?.name ?? names.get(batch.input_file_id) ?? batch.input_file_id;
}
