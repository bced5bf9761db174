/** A job's status, as the API names it and as the page shows it. Pure. */

import { formatCount } from "../ui/format.js";

/** @type {Record<string, string>} */
const STATUS_LABELS = {
  validating: "Checking the file",
  in_progress: "Running",
  finalizing: "Writing the result files",
  completed: "Done",
  failed: "Not started: the file has errors",
  expired: "Expired",
  cancelling: "Cancelling",
  cancelled: "Cancelled",
};

/** A batch's status for people. @param {any} batch */
export function statusLabel(batch) {
  const state = stateOf(batch);
  if (state === "stopped") return "Stopped";
  if (batch.status === "completed" && state === "failed") return "Every line failed";
  if (state === "failed" && !hasFileErrors(batch)) return "Failed";
  const failed = batch.request_counts?.failed;
  if (batch.status === "completed" && failed) return `Done, ${formatCount(failed)} failed`;
  return STATUS_LABELS[batch.status] ?? batch.status;
}

/**
 * A batch's status, or `stopped` if no process runs it. A job whose lines all failed has failed.
 * @param {any} batch
 * @returns {string}
 */
export function stateOf(batch) {
  const waits = FINAL_STATUSES.has(batch.status) ? [] : (batch.fanout?.waits ?? []);
  if (waits.some((/** @type {any} */ wait) => wait.reason === "not_running")) return "stopped";
  const { completed = 0, failed = 0 } = batch.request_counts ?? {};
  return batch.status === "completed" && failed && !completed ? "failed" : batch.status;
}

/** Returns whether a job failed because of its file, before any line was sent. @param {any} batch */
export function hasFileErrors(batch) {
  return batch.status === "failed" && !batch.in_progress_at;
}

/** The statuses of a job that has ended. */
export const FINAL_STATUSES = new Set(["completed", "failed", "expired", "cancelled"]);
