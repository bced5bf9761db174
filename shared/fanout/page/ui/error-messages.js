/** Explains errors in plain words: what happened, and what to do. Pure. */

/** @typedef {import("../api/client.js").ErrorInfo} ErrorInfo */

/** What happened and what to do, by error code. @type {Record<string, [string, string]>} */
const BY_CODE = {
  // The key, and what it may do.
  invalid_api_key: [
    "The gateway does not accept this API key.",
    "Enter the gateway's key, not a provider's.",
  ],
  keys_unavailable: ["The gateway cannot read its API keys.", "Try again in a minute."],
  model_not_allowed: [
    "This key may not use that model.",
    "Pick another model, or use another key.",
  ],
  field_not_allowed: [
    "This key may not send one of the parameters.",
    "Remove the parameter, or use another key.",
  ],
  file_not_allowed: [
    "The gateway may not let a provider read that stored file.",
    "Send the file itself, or add its bucket to the gateway's config.",
  ],
  budget_exceeded: ["This key's budget is used up.", "Raise its budget, or use another key."],
  tokens_exceed_limit: [
    "The request has more tokens than this key may use in a minute.",
    "Send less, or raise the key's limit of tokens.",
  ],
  in_flight_budget_exhausted: [
    "Running requests hold the rest of this key's budget.",
    "Try again when they have ended.",
  ],
  parallel_limit_exceeded: [
    "This key's parallel requests are all in flight.",
    "Try again when one has ended.",
  ],
  model_without_price: [
    "This key has a budget, and the model's price is unknown.",
    "Add its price to the gateway's config, or pick another model.",
  ],
  batches_not_allowed: [
    "This key may not run jobs here: they do not count against its budget.",
    "Use a key of the gateway's config.",
  ],
  key_not_allowed: ["This key may not read that key's spend.", "Use the master key."],
  team_exists: ["There is such a team already.", "Choose another id."],
  user_exists: ["There is such a user already.", "Choose another id or address."],
  budget_exists: ["There is such a budget already.", "Choose another id."],
  key_exists: ["There is such a key already.", "Choose another one."],
  alias_exists: ["Another key has this alias.", "Choose another alias."],
  unknown_host: [
    "The gateway does not serve this host name.",
    "Open the page at 127.0.0.1, or add the host to `allowed_hosts` in the gateway's config.",
  ],
  cross_site_request: [
    "The gateway rejects requests of other pages.",
    "Open the gateway's own page, or add the origin to `cors_origins` in its config.",
  ],

  // The request.
  model_not_found: [
    "The gateway has no such model.",
    "Pick one from the list, or check the spelling.",
  ],
  request_too_large: [
    "The request is too large for the gateway.",
    "Send fewer or smaller pictures, or a shorter text.",
  ],
  headers_too_large: ["The request's headers are too large.", "Delete this site's cookies."],
  invalid_value: ["A value is not valid.", "See the details, and change it."],
  invalid_type: ["A value has the wrong type.", "See the details, and change it."],
  invalid_json: ["The request is not valid JSON.", "See the details, and change it."],
  invalid_form: ["The upload is not a valid form.", "Upload the file again."],
  invalid_content_type: ["The upload is not a form.", "Upload the file again."],
  malformed_request: ["The request is malformed.", "Try again."],
  missing_required_parameter: ["A required field is missing.", "See the details, and add it."],
  unsupported_parameter: [
    "The provider does not have one of the parameters.",
    "Remove it, or pick another model.",
  ],
  unsupported_content_encoding: [
    "The gateway cannot unpack the request.",
    "Send it without compression, or with gzip.",
  ],
  previous_response_not_found: [
    "The gateway does not store responses.",
    "Send the earlier messages with the request.",
  ],
  websocket_not_supported: ["The gateway has no WebSockets.", "Send an HTTP request."],
  not_found: ["It was not found.", "Go back and pick another."],
  method_not_allowed: ["The gateway does not do that here.", "See the details."],
  idempotency_key_in_use: [
    "A request with the same `Idempotency-Key` is still in flight.",
    "Wait until it ends, and try again.",
  ],
  idempotency_key_reused: [
    "Another request had the same `Idempotency-Key`.",
    "Send this one with a key of its own.",
  ],
  idempotency_response_lost: [
    "The response to the request with this `Idempotency-Key` is paid for, but could not be stored.",
    "Use a new key to pay for another response.",
  ],
  idempotency_error: [
    "The request's `Idempotency-Key` cannot be used.",
    "Send it with another key.",
  ],
  context_length_exceeded: [
    "The prompt is too long for this model.",
    "Shorten it, or pick a model with a larger context window.",
  ],
  schema_mismatch: [
    "The response does not fit the schema.",
    "See the reason, and change the prompt or the schema, or add a model to ask next.",
  ],
  content_filter: ["The provider's content policy rejected the prompt.", "Rephrase the prompt."],
  content_policy_violation: [
    "The provider's content policy rejected the prompt.",
    "Rephrase the prompt.",
  ],

  // The gateway.
  shutting_down: ["The gateway is shutting down.", "Try again when it has restarted."],
  table_unavailable: ["The gateway's table in DynamoDB does not respond.", "Try again."],
  request_cancelled: ["Another request cancelled this one.", ""],
  lease_expired: [
    "The page did not renew this request in time.",
    "The computer may have slept. Try again.",
  ],
  gateway_busy: ["The gateway is at its limit of requests.", "Wait a moment and try again."],
  too_many_connections: ["Too many clients use the gateway.", "Wait a moment and try again."],
  deadline_exceeded: [
    "There was no response before the deadline.",
    "Try again, or ask for a shorter response.",
  ],
  storage_full: ["The gateway's disk is full.", "Free space on it. What is stored so far is kept."],
  storage_busy: ["The gateway's storage is used by another process.", "Try again in a moment."],
  storage_error: [
    "The gateway's storage cannot be used.",
    "Its log says why. Tell the gateway's administrator.",
  ],
  record_damaged: [
    "The gateway's record of this file or job cannot be read.",
    "Other files and jobs are not affected. Upload the file again.",
  ],
  invalid_config: [
    "The gateway's config is wrong.",
    "Tell the gateway's administrator; `fanout check` shows what to change.",
  ],
  missing_provider_key: [
    "The gateway has no API key for this provider.",
    "Add one to the gateway's config.",
  ],

  // The provider.
  all_failed: ["Every model failed.", "See the reason at each model."],
  Rejected: ["The provider rejected the request.", "See the provider's messages in the examples."],
  // The types of errors without a code, which are the causes of failed lines.
  invalid_request_error: [
    "The provider rejected the request.",
    "See the provider's messages in the examples.",
  ],
  permission_error: ["The provider does not allow this.", "See its messages in the examples."],
  rate_limit_error: ["There were too many requests.", "Run the failed lines again."],
  server_error: ["The provider or the gateway failed.", "Run the failed lines again."],
  timeout_error: ["The response took too long.", "Run the failed lines again."],
  cancelled_error: ["The request was cancelled.", "Run the failed lines again."],
  permission_denied: [
    "The gateway's account may not use this model.",
    "Pick another model, or enable it at the provider.",
  ],
  unsupported_country_region_territory: [
    "The provider does not serve the gateway's country.",
    "Pick another model.",
  ],
  rate_limit_exceeded: ["The provider's rate limit was exceeded.", "Wait a moment and try again."],
  insufficient_quota: [
    "The provider's quota is used up.",
    "Check the billing of your account with that provider.",
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
  provider_overloaded: ["The provider failed or is overloaded.", "Try again in a minute."],
  provider_malformed: [
    "The provider sent a malformed response.",
    "Try again. If it keeps failing, report it to the gateway's administrator.",
  ],
  missing_choice: [
    "The model returned fewer choices than requested.",
    "Ask for fewer choices, or pick another model.",
  ],
  provider_stream_broken: ["The response was interrupted.", "Try again."],
  provider_answer_too_large: [
    "The provider's response is too large.",
    "Ask for a shorter response.",
  ],
  provider_error: ["The provider failed.", "Try again, or pick another model."],

  // Jobs and their lines.
  request_timeout: ["There was no response before the deadline.", "Run the failed lines again."],
  batch_cancelled: ["The job was cancelled before this line ran.", "Run the failed lines again."],
  batch_expired: [
    "The job expired before this line ran.",
    "Run the failed lines again, with more time.",
  ],
  batch_failed: [
    "The job ended before this line ran.",
    "See why in the job's errors, and run the failed lines again.",
  ],
  result_damaged: ["The stored result of this line was damaged.", "Run the failed lines again."],
  input_damaged: [
    "The job's input file was changed or is gone.",
    "Upload the file again, and start a new job. The results so far are kept.",
  ],
  max_cost_reached: [
    "The job reached its cost cap.",
    "The responses so far are kept. Run the rest with a higher cap.",
  ],
  native_not_possible: [
    "Some lines cannot go by their provider's own batches.",
    "Nothing was sent. Start the job with `native: auto`; those lines are then sent in real time.",
  ],
  price_not_found: [
    "A cost cap needs a price, and this model has none.",
    "Remove the cap, or set the model's price in the config.",
  ],
  job_failed: ["The job failed.", "See the details."],
  file_not_found: ["The file no longer exists.", "Upload it again."],
  too_many_errors: ["The file has too many errors.", "Correct them and upload the file again."],
  too_many_models: [
    "The file names too many models that the gateway does not have.",
    "Correct the names and upload the file again.",
  ],
  duplicate_custom_id: [
    "Two lines have the same `custom_id`.",
    "Give each line its own `custom_id`.",
  ],
  invalid_custom_id: [
    "A line's `custom_id` is not valid.",
    "Correct it and upload the file again.",
  ],
  invalid_json_line: ["A line is not valid JSON.", "Correct that line and upload the file again."],
  invalid_method: ["A line's `method` is not `POST`.", "Correct it and upload the file again."],
  url_mismatch: [
    "A line's `url` is not the job's endpoint.",
    "Correct it and upload the file again.",
  ],
  line_too_long: ["A line is too long.", "Shorten it and upload the file again."],

  // The page itself.
  connection_lost: [
    "The connection to the gateway was lost.",
    "The text so far is kept. Try again when the gateway is back.",
  ],
  stopped: ["You stopped this response.", ""],
  page_closed: ["The page was closed or loaded again.", "The text so far is kept."],
};

/** The same by HTTP status, for a code that is not listed. @type {Record<number, [string, string]>} */
const BY_STATUS = {
  0: [
    "The gateway cannot be reached.",
    "Check that it is running. The page keeps trying to connect.",
  ],
  400: ["The request was rejected.", "See the details, and change the request."],
  401: ["The gateway needs an API key.", "Enter the gateway's API key."],
  403: ["This API key may not do that.", "Use another key."],
  404: ["It was not found.", "Go back and pick another."],
  413: ["The request is too large for the gateway.", "Send less."],
  429: ["There were too many requests.", "Wait a moment and try again."],
  500: [
    "The gateway had an internal error.",
    "Try again. If it keeps failing, report the details to the gateway's administrator.",
  ],
  502: ["The provider failed.", "Try again, or pick another model."],
  503: ["The gateway or the provider is overloaded.", "Try again in a minute."],
  504: ["There was no response before the deadline.", "Try again, or ask for a shorter response."],
  507: ["The gateway's disk is full.", "Free space on it. What is stored so far is kept."],
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
