/** A job's status, as the API names it and as the page shows it. Pure. */

/** @type {Record<string, string>} */
export const STATUS_LABELS = {
  validating: "Checking the file",
  in_progress: "Running",
  finalizing: "Writing the result files",
  completed: "Done",
  failed: "Not started: the file has errors",
  expired: "Expired",
  cancelling: "Cancelling",
  cancelled: "Cancelled",
};

/** The statuses of a job that has ended. */
export const FINAL_STATUSES = new Set(["completed", "failed", "expired", "cancelled"]);
