import assert from "node:assert/strict";
import test from "node:test";

import { waitText } from "../../../shared/fanout/page/jobs/waits.js";

test("a wait is shown with its reason and with the time of day at which it ends", () => {
  const now = new Date(2026, 4, 3, 14, 30).getTime();
  const until = new Date(2026, 4, 3, 14, 37, 5).getTime() / 1000;
  const message = "5 lines wait: `m` responds with 500";
  assert.equal(
    waitText({ reason: "provider_error", message, until }, now),
    "5 lines wait: `m` responds with 500, next attempt 14:37:05.",
  );
  assert.equal(
    waitText({ reason: "rate_limit", message: "9 lines wait: x", until: until + 86_400 }, now),
    "9 lines wait: x, next line May 4, 14:37:05.",
  );
  assert.equal(
    waitText({ reason: "storage_full", message: "no line starts: y", until: null }, now),
    "no line starts: y.",
  );
});
