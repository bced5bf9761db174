/** A job's status, as the API names it and as the page shows it. Pure. */

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
  if (batch.status === "failed" && !hasFileErrors(batch)) return "Failed";
  return STATUS_LABELS[batch.status] ?? batch.status;
}

/** Returns whether a job failed because of its file, before any line was sent. @param {any} batch */
export function hasFileErrors(batch) {
  return batch.status === "failed" && !batch.in_progress_at;
}

/** The statuses of a job that has ended. */
export const FINAL_STATUSES = new Set(["completed", "failed", "expired", "cancelled"]);
