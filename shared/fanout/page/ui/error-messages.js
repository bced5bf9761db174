/** Explains errors in plain words: what happened, and what to do. Pure. */

/** @typedef {import("../api/client.js").ErrorInfo} ErrorInfo */

/** What happened and what to do, by error code. @type {Record<string, [string, string]>} */
const BY_CODE = {
  invalid_api_key: [
    "The gateway does not accept this API key.",
    "Enter the gateway's key, not a provider's.",
  ],
  model_not_found: [
    "The gateway has no such model.",
    "Pick one from the list, or check the spelling.",
  ],
  permission_denied: [
    "The gateway's account may not use this model.",
    "Pick another model, or enable it at the provider.",
  ],
  unsupported_country_region_territory: [
    "The provider does not serve the gateway's country.",
    "Pick another model.",
  ],
  model_not_allowed: [
    "This key may not use that model.",
    "Pick another model, or use another key.",
  ],
  request_too_large: [
    "The request is too large for the gateway.",
    "Send fewer or smaller pictures, or a shorter text.",
  ],
  rate_limit_exceeded: ["The provider's rate limit was exceeded.", "Wait a moment and try again."],
  insufficient_quota: [
    "The provider's quota is used up.",
    "Check the billing of your account with that provider.",
  ],
  missing_provider_key: [
    "The gateway has no API key for this provider.",
    "Add one to the gateway's config.",
  ],
  provider_key_refused: [
    "The provider rejected the gateway's API key.",
    "Replace that provider's key in the gateway's config.",
  ],
  provider_unreachable: [
    "The provider cannot be reached.",
    "Try again. If it keeps failing, check the provider's address in the config.",
  ],
  provider_timeout: [
    "The provider took too long to respond.",
    "Try again, or ask for a shorter response.",
  ],
  provider_overloaded: ["The provider is overloaded.", "Try again in a minute."],
  provider_malformed: [
    "The provider sent a malformed response.",
    "Try again. If it keeps failing, report it to the gateway's administrator.",
  ],
  provider_stream_broken: ["The response was interrupted.", "Try again."],
  deadline_exceeded: [
    "There was no response before the deadline.",
    "Try again, or ask for a shorter response.",
  ],
  request_timeout: ["There was no response before the deadline.", "Run the failed lines again."],
  all_failed: ["Every model failed.", "See the reason at each model."],
  Rejected: ["The provider rejected the request.", "See the provider's messages in the examples."],
  batch_cancelled: ["The job was cancelled before this line ran.", "Run the failed lines again."],
  batch_expired: [
    "The job expired before this line ran.",
    "Run the failed lines again, with more time.",
  ],
  max_cost_reached: [
    "The job reached its cost cap.",
    "The responses so far are kept. Run the rest with a higher cap.",
  ],
  price_not_found: [
    "A cost cap needs a price, and this model has none.",
    "Remove the cap, or set the model's price in the config.",
  ],
  file_not_found: ["The file no longer exists.", "Upload it again."],
  context_length_exceeded: [
    "The prompt is too long for this model.",
    "Shorten it, or pick a model with a larger context window.",
  ],
  content_filter: ["The provider's content policy rejected the prompt.", "Rephrase the prompt."],
  content_policy_violation: [
    "The provider's content policy rejected the prompt.",
    "Rephrase the prompt.",
  ],
  duplicate_custom_id: [
    "Two lines have the same `custom_id`.",
    "Give each line its own `custom_id`.",
  ],
  invalid_json_line: ["A line is not valid JSON.", "Correct that line and upload the file again."],
  connection_lost: [
    "The connection to the gateway was lost.",
    "The text so far is kept. Try again when the gateway is back.",
  ],
  stopped: ["You stopped this response.", ""],
};

/** The same by HTTP status, for a code that is not listed. @type {Record<number, [string, string]>} */
const BY_STATUS = {
  0: [
    "The gateway cannot be reached.",
    "Check that it is running. The page keeps trying to connect.",
  ],
  400: ["The gateway rejected the request.", "See the details, and change the request."],
  401: ["The gateway needs an API key.", "Enter the gateway's API key."],
  403: ["This API key may not do that.", "Use another key."],
  404: ["It was not found.", "Go back and pick another."],
  413: ["The request is too large for the gateway.", "Send less."],
  429: ["There were too many requests.", "Wait a moment and try again."],
  500: [
    "The gateway had an internal error.",
    "Try again. If it keeps failing, report the details to the gateway's administrator.",
  ],
  502: ["The provider did not respond as expected.", "Try again, or pick another model."],
  503: ["The provider is overloaded.", "Try again in a minute."],
  504: ["There was no response before the deadline.", "Try again, or ask for a shorter response."],
};

/** Returns what happened, what to do, and the gateway's own message. @param {ErrorInfo} info */
export function explainError(info) {
  const known =
    BY_CODE[info.code ?? ""] ?? BY_STATUS[info.status] ?? BY_STATUS[info.status >= 500 ? 500 : 400];
  const [what, usual] = /** @type {[string, string]} */ (known);
  const advice = info.retryAfter ? `Wait ${Math.ceil(info.retryAfter)} s and try again.` : usual;
  const details = info.message && info.message !== what ? info.message : "";
  return { what, advice, details };
}

/** The same for the error code that some lines of a job failed with. @param {string} code */
export function explainCause(code) {
  const [what, advice] = BY_CODE[code] ?? ["Failed for another reason.", "See the examples."];
  return { what, advice };
}
