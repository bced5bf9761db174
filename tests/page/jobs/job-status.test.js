import assert from "node:assert/strict";
import test from "node:test";

import {
  FINAL_STATUSES,
  hasFileErrors,
  stateOf,
  statusLabel,
} from "../../../shared/fanout/page/jobs/job-status.js";
import { explainCause } from "../../../shared/fanout/page/ui/error-messages.js";

/** A batch as the API has it; times are null until their step. */
const batch = (status, inProgressAt, completed = 3, failed = 0) => ({
  status,
  in_progress_at: inProgressAt,
  request_counts: { total: completed + failed, completed, failed },
});

test("a job that is done says how many lines failed", () => {
  assert.equal(statusLabel(batch("completed", 1, 3, 1200)), "Done, 1,200 failed");
  assert.equal(statusLabel(batch("completed", 1, 0, 4)), "Every line failed");
});

test("a job that providers refused has failed, and its file has no errors", () => {
  for (const refused of [batch("failed", 1_790_000_000), batch("failed", 1)]) {
    assert.equal(statusLabel(refused), "Failed");
    assert.equal(hasFileErrors(refused), false);
  }
});

test("a job whose file has errors was not started", () => {
  for (const rejected of [batch("failed", null), batch("failed", undefined)]) {
    assert.equal(statusLabel(rejected), "Not started: the file has errors");
    assert.equal(hasFileErrors(rejected), true);
  }
});

test("every other status has one label, whether the job was started or not", () => {
  const labels = {
    validating: "Checking the file",
    in_progress: "Running",
    finalizing: "Writing the result files",
    completed: "Done",
    expired: "Expired",
    cancelling: "Cancelling",
    cancelled: "Cancelled",
    new_status: "new_status",
  };
  for (const [status, label] of Object.entries(labels))
    for (const inProgressAt of [null, 1_790_000_000]) {
      assert.equal(statusLabel(batch(status, inProgressAt)), label);
      assert.equal(hasFileErrors(batch(status, inProgressAt)), false);
    }
  assert.deepEqual([...FINAL_STATUSES].sort(), ["cancelled", "completed", "expired", "failed"]);
});

test("a job that no process runs is stopped, whatever its status", () => {
  for (const status of ["validating", "in_progress", "finalizing", "cancelling"]) {
    const stopped = { ...batch(status, 1), fanout: { waits: [{ reason: "not_running" }] } };
    assert.deepEqual([stateOf(stopped), statusLabel(stopped)], ["stopped", "Stopped"]);
    const waiting = { ...batch(status, 1), fanout: { waits: [{ reason: "rate_limit" }] } };
    assert.equal(stateOf(waiting), status);
  }
  const over = { ...batch("completed", 1), fanout: { waits: [{ reason: "not_running" }] } };
  assert.equal(stateOf(over), "completed");
});

test("a job whose lines all failed does not look like one that succeeded", () => {
  const counted = (completed, failed) => ({
    ...batch("completed", 1),
    request_counts: { total: completed + failed, completed, failed },
  });
  assert.deepEqual(
    [counted(2, 0), counted(1, 1), counted(0, 2)].map((one) => [stateOf(one), statusLabel(one)]),
    [
      ["completed", "Done"],
      ["completed", "Done, 1 failed"],
      ["failed", "Every line failed"],
    ],
  );
});

test("each cause of a refused job, and of its lines that were not sent, says what to do", () => {
  const other = explainCause("another_code");
  const texts = [
    "batch_failed",
    "result_damaged",
    "provider_key_refused",
    "insufficient_quota",
    "model_not_found",
    "permission_denied",
    "unsupported_country_region_territory",
  ].map((code) => explainCause(code));
  for (const { what, advice } of texts) {
    assert.notEqual(what, other.what);
    assert.match(what, /^[A-Z].*\.$/);
    assert.match(advice, /^[A-Z].*\.$/);
  }
  assert.equal(new Set(texts.map(({ what }) => what)).size, texts.length);
  assert.deepEqual(explainCause("batch_failed"), {
    what: "The job ended before this line ran.",
    advice: "See why in the job's errors, and run the failed lines again.",
  });
});
