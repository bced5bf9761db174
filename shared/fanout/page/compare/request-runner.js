/** Asks what a run asks, and keeps its lanes up to date until every answer is over. */

import { ApiError, stream } from "../api/client.js";
import { announce } from "../ui/dom.js";
import { plural, time } from "../ui/format.js";
import { again, fail, fastest, isOver, take } from "./run.js";

const AT_ONCE = 4; // races under way: a browser has six connections to a host

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").Ask} Ask */
/** @typedef {import("./run.js").Lane} Lane */
/** @typedef {Run & {now: () => number}} Timed */

/**
 * @param {(run: Run, lanes: Lane[]) => void} changed told of every piece
 * @param {(busy: boolean) => void} busyChanged
 */
export function asker(changed, busyChanged) {
  let control = new AbortController();
  let underWay = 0;

  /** @param {Timed} run @param {Ask[]} asks */
  async function go(run, asks) {
    if (underWay === 0) control = new AbortController();
    underWay += 1;
    if (underWay === 1) busyChanged(true);
    const waiting = [...asks];
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) await one(run, next);
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    } finally {
      underWay -= 1;
      if (underWay === 0) busyChanged(false);
    }
    tell(run);
  }

  /** @param {Timed} run @param {Ask} ask */
  async function one(run, ask) {
    for (const lane of ask.lanes) lane.startMs = run.now();
    let won = false;
    try {
      for await (const chunk of stream(ask.body, control.signal)) {
        take(ask, chunk, run.now());
        changed(run, ask.lanes);
        const winner = ask.isRace && !won && ask.lanes.find((lane) => lane.won);
        if (winner) {
          won = true;
          announce(`${winner.model} has won after ${time(run.now() - winner.startMs)}.`);
        }
      }
      finish(ask, run.now());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fail(ask, error.fault, run.now());
    }
    changed(run, ask.lanes);
  }

  return {
    /** @param {Timed} run */
    begin(run) {
      announce(`Asking ${plural(run.draft.models.length, "model")}.`);
      void go(run, run.asks);
    },
    /** @param {Timed} run @param {Lane} lane */
    again(run, lane) {
      const ask = again(run, lane, run.now());
      changed(run, [lane]);
      void go(run, [ask]);
    },
    stop: () => control.abort(),
    isBusy: () => underWay > 0,
  };
}

/**
 * The stream is at its end: whoever has not said so is over too.
 * @param {Ask} ask
 * @param {number} ms
 */
function finish(ask, ms) {
  for (const lane of ask.lanes) {
    if (!isOver(lane)) Object.assign(lane, { endMs: ms, state: "done" });
  }
}

/** One sentence for who cannot see it. @param {Run} run */
function tell(run) {
  const failed = run.lanes.filter((lane) => lane.fault).length;
  const done = run.lanes.filter((lane) => lane.state === "done").length;
  const first = run.draft.prompts.length === 1 ? fastest(run, 0) : null;
  const words = [plural(done, "answer is there", "answers are there")];
  if (failed) words.push(`${failed} failed`);
  if (first?.endMs) words.push(`the fastest: ${first.model}, ${time(first.endMs - first.startMs)}`);
  announce(`${words.join("; ")}.`);
}
