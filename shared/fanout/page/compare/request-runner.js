/** Sends a run's requests and updates its legs until every response is complete. */

import { ApiError, request as sendRequest, streamChunks } from "../api/client.js";
import { openRequests } from "../api/open-requests.js";
import { announce } from "../ui/dom.js";
import { formatMs, plural } from "../ui/format.js";
import { withoutModel } from "./chat-requests.js";
import { applyError } from "./leg-errors.js";
import { decisionTitle } from "./decision.js";
import { allLegs, applyChunk, fastestLeg, isFinished, retryLeg } from "./run.js";

const STAYED_MS = 2000; // after a `beforeunload`, if the page is then still there
const PAGE_CLOSED = { status: 0, code: "page_closed", message: "The page was closed." };
const MAX_IN_FLIGHT = 4; // requests of one run: a browser opens six connections to a host

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").RunRequest} RunRequest */
/** @typedef {import("./run.js").Leg} Leg */
/** @typedef {Run & {now: () => number}} TimedRun `now` in ms since the run started */

/**
 * @param {(run: Run, legs: Leg[]) => void} legsChanged called after every chunk
 * @param {(busy: boolean) => void} busyChanged
 */
export function requestRunner(legsChanged, busyChanged) {
  const open = openRequests(sendRequest);
  let abort = new AbortController();
  let running = 0;
  let isLeaving = false; // a browser ends the requests of a page before it hides the page
  addEventListener("beforeunload", () => {
    isLeaving = true;
    setTimeout(() => (isLeaving = false), STAYED_MS);
  });
  addEventListener("pagehide", () => void open.cancelAll());

  /** @param {TimedRun} run @param {RunRequest[]} requests */
  async function sendAll(run, requests) {
    if (running === 0) abort = new AbortController();
    running += 1;
    if (running === 1) busyChanged(true);
    const queue = [...requests];
    const work = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) await send(run, next);
    };
    try {
      await Promise.all(Array.from({ length: MAX_IN_FLIGHT }, work));
    } finally {
      running -= 1;
      if (running === 0) busyChanged(false);
    }
    announceEnd(run);
  }

  /** @param {TimedRun} run @param {RunRequest} request */
  async function send(run, request) {
    for (const leg of allLegs(request)) leg.startMs = run.now();
    let hasWinner = false;
    const { id, body, close } = open.open(request.body);
    try {
      for await (const chunk of streamChunks(body, abort.signal, id)) {
        applyChunk(request, chunk, run.now());
        legsChanged(run, allLegs(request));
        const winner = request.isRace && !hasWinner && request.legs.find((leg) => leg.won);
        if (winner) {
          hasWinner = true;
          announce(`${winner.model} won after ${formatMs(run.now() - winner.startMs)}.`);
        }
      }
      finish(request, run.now());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const rest = requestOfOthers(request, error.info);
      if (rest) request.legs = request.legs.filter((leg) => !rest.legs.includes(leg));
      const isLost = error.info.code === "connection_lost";
      applyError(
        rest ? { ...request, result: null } : request,
        isLost && isLeaving ? PAGE_CLOSED : error.info,
        run.now(),
      );
      if (rest) {
        legsChanged(run, request.legs);
        return send(run, rest);
      }
    } finally {
      close();
    }
    legsChanged(run, allLegs(request));
  }

  return {
    /** @param {TimedRun} run */
    start(run) {
      announce(`Asking ${plural(run.draft.models.length, "model")}.`);
      void sendAll(run, run.requests);
    },
    /** @param {TimedRun} run @param {Leg} leg */
    retry(run, leg) {
      const request = retryLeg(run, leg, run.now());
      legsChanged(run, allLegs(request));
      void sendAll(run, [request]);
    },
    stop() {
      void open.cancelAll(); // on AWS, the gateway does not see that the browser disconnects
      abort.abort();
    },
    isBusy: () => running > 0,
  };
}

/**
 * The request for the other models, if the gateway has rejected it because of one that it does not
 * have: its message names that one.
 * @param {RunRequest} request
 * @param {import("../api/client.js").ErrorInfo} info
 */
function requestOfOthers(request, { code, message }) {
  const [, unknown] = (code === "model_not_found" && /`([^`]+)`/.exec(message ?? "")) || [];
  return unknown ? withoutModel(request, unknown) : null;
}

/**
 * Marks the legs that have no finish reason as done: the stream has ended.
 * @param {RunRequest} request
 * @param {number} ms
 */
function finish(request, ms) {
  for (const leg of allLegs(request)) {
    if (!isFinished(leg)) Object.assign(leg, { endMs: ms, state: "done" });
  }
}

/** Has screen readers read the result of a run. @param {Run} run */
function announceEnd(run) {
  const [result] = run.results;
  if (result?.decision && run.results.length === 1) return announce(decisionTitle(result));
  const invalid = run.legs.filter((leg) => leg.check && !leg.check.isValid).length;
  const failed = run.legs.filter((leg) => leg.error).length - invalid;
  const done = run.legs.filter((leg) => leg.state === "done").length;
  const fastest = run.draft.prompts.length === 1 ? fastestLeg(run, 0) : null;
  const parts = [plural(done, "response is complete", "responses are complete")];
  if (invalid) parts.push(`${invalid} invalid`);
  if (failed) parts.push(`${failed} failed`);
  if (fastest?.endMs)
    parts.push(`fastest: ${fastest.model}, ${formatMs(fastest.endMs - fastest.startMs)}`);
  announce(`${parts.join("; ")}.`);
}
