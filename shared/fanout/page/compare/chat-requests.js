/** The request bodies of a run, and the conversations that they continue. Pure. */

import { formatFields } from "../ui/response-format.js";
import { decisionFields, hasResponse, isDecided } from "./decision.js";

/** @typedef {import("./run.js").Draft} Draft */
/** @typedef {import("./run.js").Leg} Leg */
/** @typedef {import("./run.js").Prompt} Prompt */
/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").RunRequest} RunRequest */
/** @typedef {any[]} Messages messages of OpenAI's chat completions */

/**
 * The requests of a new run: one for all responses, one more for each model with its own settings,
 * one for each prompt if its models share a response, or one for each model if each continues its
 * own conversation.
 * @param {Draft} draft
 * @param {Leg[]} legs
 * @param {Messages[] | null} histories the messages before the prompt, for each leg
 * @param {(Leg | null)[]} [results] the response to each prompt, if it is decided on
 * @returns {RunRequest[]}
 */
export function requestsOf(draft, legs, histories, results = []) {
  const [prompt] = draft.prompts;
  if (histories && prompt) {
    const conversations = histories.map((history) => [...history, userMessage(prompt)]);
    if (draft.mode !== "all") return [sharedRequest(draft, conversations[0], legs, results[0])];
    return legs.map((leg, at) => requestOfLeg(draft, leg, conversations[at] ?? []));
  }
  const conversations = draft.prompts.map((one) => firstMessages(draft.system, one));
  if (draft.mode !== "all")
    return conversations.map((conversation, at) => {
      const own = legs.filter((leg) => leg.prompt === at);
      return sharedRequest(draft, conversation, own, results[at]);
    });
  const messages = conversations.length === 1 ? conversations[0] : conversations;
  const alone = draft.models.filter((model) => draft.settings[model]);
  const together = draft.models.filter((model) => !draft.settings[model]);
  const groups = [together, ...alone.map((model) => [model])].filter((models) => models.length);
  return groups.map((models) => ({
    body: bodyOf({ ...draft, models }, messages),
    legs: legs.filter((leg) => models.includes(leg.model)),
    isRace: false,
  }));
}

/**
 * The request whose models share one response.
 * @param {Draft} draft
 * @param {any} messages
 * @param {Leg[]} legs
 * @param {Leg | null} [result]
 * @returns {RunRequest}
 */
function sharedRequest(draft, messages, legs, result = null) {
  return { body: bodyOf(draft, messages), legs, isRace: draft.mode === "race", result };
}

/**
 * The request of a response that is decided on.
 * @param {Run} run
 * @param {Leg} result
 * @returns {RunRequest}
 */
export function requestOfResult(run, result) {
  const legs = run.legs.filter((leg) => leg.prompt === result.prompt);
  const [first] = legs;
  return sharedRequest(run.draft, first ? messagesOf(run, first) : [], legs, result);
}

/**
 * The request that asks one leg's model alone.
 * @param {Draft} draft
 * @param {Leg} leg
 * @param {Messages} messages
 * @returns {RunRequest}
 */
export function requestOfLeg(draft, leg, messages) {
  const body = bodyOf({ ...draft, mode: "all", models: [leg.model] }, messages);
  return { body, legs: [leg], isRace: false };
}

/**
 * The request without one of its models, which the gateway does not have; `null` if no other model
 * is left, or if the request does not name it.
 * @param {RunRequest} request
 * @param {string} model
 * @returns {RunRequest | null}
 */
export function withoutModel(request, model) {
  const models = request.body.model.filter((/** @type {string} */ one) => one !== model);
  if (!models.length || models.length === request.body.model.length) return null;
  const legs = request.legs.filter((leg) => leg.model !== model);
  return { ...request, body: { ...request.body, model: models }, legs };
}

/** The messages that a leg responds to. @param {Run} run @param {Leg} leg @returns {Messages} */
export function messagesOf(run, leg) {
  const prompt = /** @type {Prompt} */ (run.draft.prompts[leg.prompt]);
  const history = run.histories?.[run.legs.indexOf(leg)];
  return history ? [...history, userMessage(prompt)] : firstMessages(run.draft.system, prompt);
}

/**
 * The models that can get another message, and what each has read and written before: all models and
 * the conversation of the response that they share, otherwise those that have responded, each with
 * its own.
 * `null` if there is nothing to continue.
 * @param {Run} run
 * @returns {{models: string[], histories: Messages[]} | null}
 */
export function nextConversations(run) {
  if (run.draft.prompts.length !== 1) return null;
  const results = run.results.filter((leg) => leg !== null).filter(hasResponse);
  const isShared = run.draft.mode !== "all";
  const responses = isDecided(run.draft.mode) ? results : run.legs;
  const done = responses.filter((leg) => leg.state === "done" && leg.text);
  const histories = done.map((leg) => [
    ...messagesOf(run, run.legs.includes(leg) ? leg : /** @type {Leg} */ (run.legs[0])),
    { role: "assistant", content: leg.text },
  ]);
  const [first] = histories;
  if (!first) return null;
  if (!isShared) return { models: done.map((leg) => leg.model), histories };
  return { models: run.draft.models, histories: run.draft.models.map(() => first) };
}

/** @param {string} system @param {Prompt} prompt @returns {Messages} */
function firstMessages(system, prompt) {
  return [...(system.trim() ? [{ role: "system", content: system }] : []), userMessage(prompt)];
}

/** @param {Prompt} prompt */
function userMessage({ text, pictures }) {
  const images = pictures.map((url) => ({ type: "image_url", image_url: { url } }));
  return { role: "user", content: images.length ? [{ type: "text", text }, ...images] : text };
}

/** The `fanout` of a request, if it has one. @param {Draft} draft */
function fanoutFields(draft) {
  const fanout = { ...formatFields(draft.format).fanout, ...decisionFields(draft) };
  return Object.keys(fanout).length ? { fanout } : {};
}

/** @param {Draft} draft @param {any} messages */
function bodyOf(draft, messages) {
  const [model = ""] = draft.models;
  const own = draft.mode === "all" ? draft.settings[model] : undefined; // its request has no other
  const maxTokens = own?.maxTokens ?? draft.maxTokens;
  const temperature = own?.temperature ?? draft.temperature;
  return {
    model: draft.models,
    ...(draft.mode === "race" ? { fastest_response: true } : {}),
    ...(maxTokens ? { max_tokens: maxTokens } : {}),
    ...(temperature === null ? {} : { temperature }),
    ...formatFields(draft.format),
    ...fanoutFields(draft),
    stream: true,
    stream_options: { include_usage: true },
    messages,
  };
}
