import assert from "node:assert/strict";
import test from "node:test";

import {
  rate,
  ratePoints,
  refusals,
  secondsLeft,
  withSample,
} from "../../../shared/fanout/page/jobs/throughput.js";

const seen = (...done) =>
  done.map((one, at) => ({ at: at * 1000, done: one, inFlight: 4, refused: at }));

test("a job's speed is that of its last half minute", () => {
  assert.equal(rate(seen(0)), null);
  assert.equal(rate(seen(0, 10, 20)), 10);
  const slow = [
    ...seen(0, 1000),
    { at: 100_000, done: 1000, inFlight: 1, refused: 1 },
    { at: 110_000, done: 1050, inFlight: 1, refused: 1 },
  ];
  assert.equal(rate(slow), 5);
  assert.equal(secondsLeft(100, 5), 20);
  assert.equal(secondsLeft(0, null), 0);
  assert.equal(secondsLeft(5, 0), null);
});

test("refusals are counted by what is new, also where the count begins anew", () => {
  const samples = [0, 3, 3, 1].map((refused, at) => ({ at, done: 0, inFlight: 0, refused }));
  assert.deepEqual(
    refusals(samples).map((one) => one.value),
    [3, 0, 0],
  );
  assert.deepEqual(
    refusals([{ at: 0, done: 0, inFlight: null, refused: null }, samples[1]]).map(
      (one) => one.value,
    ),
    [null],
  );
  assert.deepEqual(
    ratePoints(seen(0, 2, 6)).map((one) => one.value),
    [2, 3],
  );
});

test("samples are thinned, the old ones first", () => {
  let samples = [];
  for (let at = 0; at < 5000; at += 1)
    samples = withSample(samples, { at, done: at, inFlight: 0, refused: 0 });
  assert.ok(samples.length <= 600);
  assert.equal(samples[0].at, 0);
  assert.deepEqual(
    samples.slice(-3).map((one) => one.at),
    [4997, 4998, 4999],
  );
});
