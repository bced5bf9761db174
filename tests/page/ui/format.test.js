import assert from "node:assert/strict";
import test from "node:test";

import {
  formatAxisMs,
  formatBytes,
  formatCount,
  formatMs,
  formatRate,
  formatSeconds,
  formatTimestamp,
  formatUsd,
  roundAxisEnd,
} from "../../../shared/fanout/page/ui/format.js";

test("times, sums and counts are formatted for people", () => {
  assert.deepEqual([84.4, 1240, 12_340, 125_000, null].map(formatMs), [
    "84 ms",
    "1.24 s",
    "12.3 s",
    "2 m 05 s",
    "–",
  ]);
  assert.deepEqual([45, 125, 12_000, 187_200].map(formatSeconds), [
    "45 s",
    "2 m 05 s",
    "3 h 20 m",
    "2 d 4 h",
  ]);
  assert.deepEqual([0, 3.5, 0.0123, 0.0000041, null].map(formatUsd), [
    "$0",
    "$3.50",
    "$0.0123",
    "$0.000004",
    "–",
  ]);
  assert.deepEqual([1234567, 0, null].map(formatCount), ["1,234,567", "0", "–"]);
  assert.deepEqual([38.24, 250, null].map(formatRate), ["38.2", "250", "–"]);
  assert.deepEqual([12, 3400, 12_345_678].map(formatBytes), ["12 B", "3.4 kB", "12 MB"]);
  assert.deepEqual([250, 500, 1500, 2000].map(formatAxisMs), ["250 ms", "500 ms", "1.5 s", "2 s"]);
});

test("a timestamp of another day has its date", () => {
  const noon = new Date(2026, 4, 3, 12, 5).getTime();
  assert.equal(formatTimestamp(noon / 1000, noon), "12:05");
  assert.equal(formatTimestamp(noon / 1000, noon + 86_400_000), "May 3, 12:05");
});

test("an axis ends at a round number that seldom changes", () => {
  assert.deepEqual(
    [0.35, 1, 1.1, 480, 2001, 6001, 9000, 10_500, 15_000].map(roundAxisEnd),
    [0.4, 1, 1.2, 600, 3000, 8000, 10_000, 12_000, 16_000],
  );
});
