import assert from "node:assert/strict";
import test from "node:test";

import { explainCause, explainError } from "../../../shared/fanout/page/ui/error-messages.js";

test("every error has a plain explanation and advice", () => {
  const fault = {
    status: 429,
    code: "rate_limit_exceeded",
    message: "`a`: slow down",
    retryAfter: 19.2,
  };
  assert.deepEqual(explainError(fault), {
    what: "The provider's rate limit was exceeded.",
    advice: "Wait 20 s and try again.",
    details: "`a`: slow down",
  });
  for (const status of [0, 400, 401, 403, 404, 413, 418, 429, 500, 502, 503, 504, 599]) {
    const { what, advice } = explainError({ status, code: "unknown_code", message: "" });
    assert.ok(what.endsWith(".") && advice.endsWith("."), String(status));
  }
  assert.equal(explainCause("unknown_code").what, "Failed for another reason.");
});
