/** Keeps the runs of this tab over a reload, without pictures. */

import { loadFromSession, saveToSession } from "../ui/session.js";
import { newRun } from "./run.js";

const ITEM = "fanout.runs";
const VERSION = 1; // other versions of the page may be served at this address

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").Leg} Leg */

/** Saves the latest runs that fit into the tab's storage. @param {Run[]} runs */
export function saveRuns(runs) {
  const plain = runs.map(plainRun);
  while (!saveToSession(ITEM, { version: VERSION, runs: plain })) {
    if (!plain.length) return;
    plain.shift();
  }
}

/** The saved runs; a response that was not complete is shown as stopped. @returns {Run[]} */
export function loadRuns() {
  const saved = loadFromSession(ITEM, null);
  return saved?.version === VERSION ? saved.runs.map(restoredRun) : [];
}

/** @param {Run} run */
function plainRun({ id, at, draft, legs, choices, results, histories }) {
  const prompts = draft.prompts.map(({ text }) => ({ text, pictures: [] }));
  const texts = histories?.map((history) => history.map(withoutPictures)) ?? null;
  return {
    id,
    at,
    draft: { ...draft, prompts },
    legs: legs.map(ended),
    choices,
    results: results.map((leg) => leg && ended(leg)),
    histories: texts,
  };
}

/** @param {any} message */
function withoutPictures({ role, content }) {
  const text = Array.isArray(content) ? content.find((part) => part.type === "text").text : content;
  return { role, content: text };
}

/** @param {Leg} leg @returns {Leg} */
function ended(leg) {
  if (leg.endMs !== null || leg.state === "not_started") return leg;
  const endMs = Math.max(leg.startMs, leg.firstTokenMs ?? 0);
  const error = { status: 0, code: "page_closed", message: "The page was closed." };
  return { ...leg, state: "stopped", endMs, error };
}

/** @param {any} saved @returns {Run} */
function restoredRun({ id, at, draft, legs, choices, results, histories }) {
  const run = newRun(draft, id, at, histories);
  run.legs.forEach((leg, index) => Object.assign(leg, legs[index]));
  run.results.forEach((leg, index) => leg && Object.assign(leg, results?.[index]));
  return { ...run, choices };
}
