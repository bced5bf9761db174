import assert from "node:assert/strict";
import { test } from "node:test";

import {
  laneFields,
  laneHint,
  laneName,
  laneOptions,
  lanesOf,
  nativeLines,
  nativeOptions,
} from "../../../shared/fanout/page/jobs/lanes.js";

const lane = (/** @type {number} */ lines, /** @type {number} */ dollars) => ({
  lines,
  known_cost_usd: dollars,
  saved_usd: 0,
});

test("a lane has a name for people", () => {
  assert.deepEqual(["realtime", "flex"].map(laneName), ["real time", "flex"]);
});

test("only lanes that lines of the file may go by are offered and explained", () => {
  const values = (/** @type {Record<string, any>} */ lanes) =>
    laneOptions(lanes).map(([value]) => value);
  assert.deepEqual(values({ realtime: {} }), ["", "realtime"]);
  assert.deepEqual(values({ realtime: {}, flex: {} }), ["", "realtime", "flex"]);
  assert.deepEqual(values({ realtime: {}, native: {} }), ["", "realtime", "native"]);
  assert.match(laneHint({ flex: {} }), /flex from 3 hours/);
  assert.doesNotMatch(laneHint({ flex: {} }), /Native/);
  assert.match(laneHint({ native: {} }), /real time\. Native batches: /);
});

test("native batches are never, auto or required, as the lane allows", () => {
  const values = (/** @type {string} */ lane, /** @type {Record<string, any>} */ lanes) =>
    nativeOptions(lane, lanes).map(([value]) => value);
  assert.deepEqual(values("", { native: {} }), ["never", "auto", "require"]);
  assert.deepEqual(values("native", { native: {} }), ["auto", "require"]);
  assert.deepEqual(values("flex", { flex: {}, native: {} }), []);
  assert.deepEqual(values("", { flex: {} }), []);
  assert.match(nativeLines({ native_lines: 2 }), /sends 2 lines by/);
  assert.match(nativeLines({ native_lines: 0 }), /sends no line by/);
});

test("the job has the choice of native batches if it fits the lane", () => {
  assert.deepEqual(laneFields("", ""), {});
  assert.deepEqual(laneFields("", "never"), {});
  assert.deepEqual(laneFields("", "require"), { lane: "auto", native: "require" });
  assert.deepEqual(laneFields("native", "require"), { lane: "native", native: "require" });
  assert.deepEqual(laneFields("native", "never"), { lane: "native" });
  assert.deepEqual(laneFields("flex", "require"), { lane: "flex" });
});

test("each lane has its lines and dollars, and the job its savings", () => {
  const lanes = { realtime: lane(1200, 3), flex: lane(8, 0.5), native: lane(9, 0.25) };
  assert.equal(
    lanesOf({ fanout: { lanes, saved_usd: 0.75 } }),
    "1,200 real time $3.00, 8 flex $0.5000, 9 native $0.2500; saved $0.7500",
  );
  const hedged = { lines: 2, known_cost_usd: 0.5 };
  const twice = "2 lines sent twice, $0.5000 known for unused responses";
  assert.equal(lanesOf({ fanout: { lanes: { realtime: lane(2, 1) }, hedged } }), twice);
});

test("a job in real time only, and one of an older gateway, show nothing", () => {
  for (const lanes of [{ realtime: lane(3, 1), flex: lane(0, 0) }, {}, undefined]) {
    assert.equal(lanesOf({ fanout: { lanes, saved_usd: 0 } }), "");
  }
  assert.equal(lanesOf({}), "");
});
