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

test("an error of the gateway is not blamed on a provider, nor the other way round", () => {
  const titles = {
    shutting_down: "The gateway is shutting down.",
    gateway_busy: "The gateway is at its limit of requests.",
    too_many_connections: "Too many clients use the gateway.",
    storage_full: "The gateway's disk is full.",
    storage_busy: "The gateway's storage is used by another process.",
    record_damaged: "The gateway's record of this file or job cannot be read.",
    deadline_exceeded: "There was no response before the deadline.",
    cross_site_request: "The gateway rejects requests of other pages.",
    provider_overloaded: "The provider failed or is overloaded.",
    provider_stream_broken: "The response was interrupted.",
    provider_answer_too_large: "The provider's response is too large.",
    provider_error: "The provider failed.",
  };
  for (const [code, what] of Object.entries(titles)) {
    for (const status of [429, 500, 502, 503, 507]) {
      assert.equal(explainError({ status, code, message: "" }).what, what);
    }
  }
});
