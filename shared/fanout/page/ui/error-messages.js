/** Every error in plain words: what happened, and what to do. Pure. */

/** @typedef {import("../api/client.js").Fault} Fault */

/** @type {Record<string, [string, string]>} */
const BY_CODE = {
  invalid_api_key: [
    "The gateway asks for a key that it knows.",
    "Enter the gateway's key, not a provider's.",
  ],
  model_not_found: [
    "There is no such model here.",
    "Pick one of the list, or check how it is spelled.",
  ],
  model_not_allowed: ["This key may not use that model.", "Pick another model, or another key."],
  request_too_large: [
    "That is more than the gateway takes at once.",
    "Send fewer or smaller pictures, or a shorter text.",
  ],
  rate_limit_exceeded: ["The provider says: too many requests.", "Wait a moment and ask again."],
  insufficient_quota: [
    "The provider's quota is used up.",
    "See to the bill of that provider's account.",
  ],
  missing_provider_key: [
    "The gateway has no key for this provider.",
    "Give it one in the gateway's config.",
  ],
  provider_key_refused: [
    "The provider refuses the gateway's key.",
    "Renew that provider's key in the gateway's config.",
  ],
  provider_unreachable: [
    "The provider cannot be reached.",
    "Try again; if it lasts, check its address in the config.",
  ],
  provider_timeout: ["The provider took too long.", "Ask again, or ask for a shorter answer."],
  provider_overloaded: ["The provider is overloaded.", "Try again in a minute."],
  provider_malformed: [
    "The provider sent something that is no answer.",
    "Try again; if it lasts, tell whoever runs the gateway.",
  ],
  provider_stream_broken: ["The answer broke off.", "Ask again."],
  deadline_exceeded: [
    "No answer in the time that there was.",
    "Ask again, or ask for a shorter answer.",
  ],
  request_timeout: ["No answer in the time that there was.", "Run the failed lines again."],
  all_failed: ["Every model failed.", "Each one's reason is with it."],
  Rejected: ["The provider refuses the request.", "See its own words in the examples."],
  batch_cancelled: ["The job ended before this line was asked.", "Run the failed lines again."],
  batch_expired: [
    "The job's time was over before this line was asked.",
    "Run the failed lines again, with more time.",
  ],
  max_cost_reached: [
    "The cap was reached.",
    "Answers so far are kept; run the rest with a higher cap.",
  ],
  price_not_found: [
    "A cap needs a price, and this model has none.",
    "Leave out the cap, or give the model's price in the config.",
  ],
  file_not_found: ["The file is gone.", "Upload it again."],
  context_length_exceeded: [
    "The prompt is too long for this model.",
    "Shorten it, or pick a model with more room.",
  ],
  content_policy_violation: ["The provider will not answer this prompt.", "Say it in another way."],
  duplicate_custom_id: ["A name comes twice.", "Give each line a `custom_id` of its own."],
  invalid_json_line: ["A line is not JSON.", "Mend that line, and upload the file again."],
  connection_lost: [
    "The connection to the gateway was lost.",
    "What had come is kept. Ask again when it is back.",
  ],
  stopped: ["You stopped it.", ""],
};

/** @type {Record<number, [string, string]>} */
const BY_STATUS = {
  0: ["The gateway cannot be reached.", "Check that it runs; this page tries again by itself."],
  400: ["The request cannot be served as it is.", "See the details, and change it."],
  401: ["The gateway wants a key.", "Enter the gateway's key."],
  403: ["This key may not do that.", "Use another key."],
  404: ["It is not here, or no longer.", "Go back and pick another."],
  413: ["That is more than the gateway takes at once.", "Send less."],
  429: ["Too many requests.", "Wait a moment and try again."],
  500: [
    "The gateway has made a mistake.",
    "Try again; if it lasts, tell whoever runs it, with the details.",
  ],
  502: ["The provider did not answer as it should.", "Try again, or pick another model."],
  503: ["The provider is overloaded.", "Try again in a minute."],
  504: ["No answer in the time that there was.", "Ask again, or ask for a shorter answer."],
};

/** What happened, what to do, and the gateway's own words. @param {Fault} fault */
export function explain(fault) {
  const known =
    BY_CODE[fault.code ?? ""] ??
    BY_STATUS[fault.status] ??
    BY_STATUS[fault.status >= 500 ? 500 : 400];
  const [what, advice] = /** @type {[string, string]} */ (known);
  const wait = fault.retryAfter ? `Wait ${Math.ceil(fault.retryAfter)} s and ask again.` : advice;
  const details = fault.message && fault.message !== what ? fault.message : "";
  return { what, advice: wait, details };
}

/** A cause of failed lines. @param {string} code */
export function cause(code) {
  const known = BY_CODE[code];
  return {
    what: known ? known[0] : "Failed for another reason.",
    advice: known ? known[1] : "See the examples.",
  };
}

/** A job's state. @type {Record<string, string>} */
export const STATES = {
  validating: "Checking the file",
  in_progress: "Running",
  finalizing: "Putting the answers together",
  completed: "Done",
  failed: "Not started: the file has mistakes",
  expired: "Out of time",
  cancelling: "Stopping",
  cancelled: "Stopped",
};

/** The states of a job that is over. */
export const FINAL = new Set(["completed", "failed", "expired", "cancelled"]);

/** How an answer ended. @type {Record<string, string>} */
export const FINISHES = {
  stop: "complete",
  length: "cut at its limit",
  tool_calls: "calls a tool",
  content_filter: "held back by a filter",
  error: "failed",
};

/** What cutting a call does to the provider's bill. @type {Record<string, string>} */
export const BILLING = {
  stops: "the bill stops with it",
  continues: "billed to its end",
  unknown: "billing unknown",
};
