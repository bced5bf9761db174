import assert from "node:assert/strict";
import test from "node:test";

import { cause, explain } from "../../../shared/fanout/page/ui/error-messages.js";

test("every error is said in plain words with what to do", () => {
  const fault = {
    status: 429,
    code: "rate_limit_exceeded",
    message: "`a`: slow down",
    retryAfter: 19.2,
  };
  assert.deepEqual(explain(fault), {
    what: "The provider says: too many requests.",
    advice: "Wait 20 s and ask again.",
    details: "`a`: slow down",
  });
  for (const status of [0, 400, 401, 403, 404, 413, 418, 429, 500, 502, 503, 504, 599]) {
    const { what, advice } = explain({ status, code: "never heard of", message: "" });
    assert.ok(what.endsWith(".") && advice.endsWith("."), String(status));
  }
  assert.equal(cause("nothing we know").what, "Failed for another reason.");
});
