/** Jobs: the list of them, and beside it one job or the form for a new one. */

import { ApiError, json } from "../api/client.js";
import { poller } from "../api/poller.js";
import { fill, h, say } from "../ui/dom.js";
import { explain, FINAL, STATES } from "../ui/error-messages.js";
import { count, moment } from "../ui/format.js";
import { jobView } from "./job-view.js";
import { newJob } from "./new-job.js";

const OFTEN = 2; // seconds between two looks at the list while a job runs
const SELDOM = 10;
const SHOWN = 50;

/** @typedef {any} Batch OpenAI's batch object, and what is ours in it */

export function jobsView() {
  /** @type {Map<string, string>} file names by file id */
  const names = new Map();
  const list = h("ul", { class: "jobs-list" });
  const problem = h("p", { class: "fault", role: "alert" });
  const form = newJob((batch) => {
    location.hash = `#/jobs/${batch.id}`;
    watch.start();
  });
  const place = h("div", { class: "job-place" });
  const fresh = h("a", { class: "button primary", href: "#/jobs" }, "New job");
  const aside = h(
    "aside",
    { "aria-label": "Jobs" },
    h("div", { class: "aside-head" }, h("h2", null, "Jobs"), fresh),
    problem,
    list,
  );
  const element = h("div", { class: "jobs" }, aside, place);
  /** @type {ReturnType<typeof jobView> | null} */
  let job = null;
  let current = "";

  const watch = poller(async () => {
    try {
      const [batches, files] = await Promise.all([
        json(`batches?limit=${SHOWN}`),
        json("files?purpose=batch&limit=200"),
      ]);
      for (const file of files.data) names.set(file.id, file.filename);
      form.files(files.data);
      show(batches.data);
      say(problem, "");
      return batches.data.some((/** @type {Batch} */ one) => !FINAL.has(one.status))
        ? OFTEN
        : SELDOM;
    } catch (error) {
      if (!(error instanceof ApiError) || error.fault.status === 0) throw error;
      const isLocked = error.fault.status === 401;
      say(
        problem,
        error.fault.status === 404 ? "This gateway runs no jobs." : explain(error.fault).what,
      );
      return isLocked ? OFTEN : SELDOM;
    }
  });

  /** @type {Map<string, ReturnType<typeof row>>} */
  let rows = new Map();
  const none = h("li", { class: "hint" }, "None yet. Drop a file to begin.");

  /**
   * Rows that are there stay the same elements: one of them may have the focus.
   * @param {Batch[]} batches
   */
  function show(batches) {
    rows = new Map(batches.map((batch) => [batch.id, rows.get(batch.id) ?? row(batch.id)]));
    for (const batch of batches) rows.get(batch.id)?.update(batch, nameOf(batch, names));
    const wanted = batches.length ? [...rows.values()].map((one) => one.element) : [none];
    if (
      wanted.some((one, at) => one !== list.children[at]) ||
      wanted.length !== list.children.length
    )
      fill(list, wanted);
    mark();
  }

  function mark() {
    for (const [id, one] of rows) one.mark(id === current);
  }

  return {
    element,
    /** @param {string[]} listed */
    models: (listed) => form.models(listed),
    /**
     * The job of this id, `""` for the form, `null` for nothing at all.
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
        fill(place, job.element);
      } else if (place.firstElementChild !== form.element) fill(place, form.element);
      mark();
    },
  };
}

/** One job of the list. @param {string} id */
function row(id) {
  const name = h("span", { class: "job-name" });
  const state = h("span");
  const sum = h("span", { class: "job-sum" });
  const bar = h("span", { class: "thin" });
  const link = h("a", { href: `#/jobs/${id}` }, name, state, sum, bar);
  return {
    element: h("li", null, link),
    /** @param {boolean} isHere */
    mark(isHere) {
      if (isHere) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    },
    /** @param {Batch} batch @param {string} called */
    update(batch, called) {
      const { total, completed, failed } = batch.request_counts;
      const lost = failed ? `, ${count(failed)} failed` : "";
      say(name, called);
      say(state, STATES[batch.status] ?? batch.status);
      state.className = `state is-${batch.status}`;
      say(
        sum,
        `${count(completed + failed)} of ${count(total)}${lost} · ${moment(batch.created_at)}`,
      );
      bar.hidden = FINAL.has(batch.status);
      bar.style.setProperty("--long", String(total ? ((completed + failed) / total) * 100 : 0));
    },
  };
}

/**
 * What people call the job: its file's name.
 * @param {Batch} batch
 * @param {Map<string, string>} names
 */
function nameOf(batch, names) {
  return batch.metadata?.name ?? names.get(batch.input_file_id) ?? batch.input_file_id;
}
