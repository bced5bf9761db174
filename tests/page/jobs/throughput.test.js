import assert from "node:assert/strict";
import test from "node:test";

import {
  addSample,
  linesPerSecond,
  linesPerSecondPoints,
  rateLimitedPoints,
  secondsLeft,
} from "../../../shared/fanout/page/jobs/throughput.js";

const samplesOf = (...done) =>
  done.map((one, at) => ({ at: at * 1000, done: one, inFlight: 4, refused: at }));

test("a job's speed is measured over the last 30 seconds", () => {
  assert.equal(linesPerSecond(samplesOf(0)), null);
  assert.equal(linesPerSecond(samplesOf(0, 10, 20)), 10);
  const slow = [
    ...samplesOf(0, 1000),
    { at: 100_000, done: 1000, inFlight: 1, refused: 1 },
    { at: 110_000, done: 1050, inFlight: 1, refused: 1 },
  ];
  assert.equal(linesPerSecond(slow), 5);
  assert.equal(secondsLeft(100, 5), 20);
  assert.equal(secondsLeft(0, null), 0);
  assert.equal(secondsLeft(5, 0), null);
});

test("rate-limited calls are counted per sample, also when the count restarts", () => {
  const samples = [0, 3, 3, 1].map((refused, at) => ({ at, done: 0, inFlight: 0, refused }));
  assert.deepEqual(
    rateLimitedPoints(samples).map((one) => one.value),
    [3, 0, 0],
  );
  assert.deepEqual(
    rateLimitedPoints([{ at: 0, done: 0, inFlight: null, refused: null }, samples[1]]).map(
      (one) => one.value,
    ),
    [null],
  );
  assert.deepEqual(
    linesPerSecondPoints(samplesOf(0, 2, 6)).map((one) => one.value),
    [2, 3],
  );
});

test("the older samples are thinned out first", () => {
  let samples = [];
  for (let at = 0; at < 5000; at += 1)
    samples = addSample(samples, { at, done: at, inFlight: 0, refused: 0 });
  assert.ok(samples.length <= 600);
  assert.equal(samples[0].at, 0);
  assert.deepEqual(
    samples.slice(-3).map((one) => one.at),
    [4997, 4998, 4999],
  );
});
