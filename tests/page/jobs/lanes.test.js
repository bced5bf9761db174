import assert from "node:assert/strict";
import { test } from "node:test";

import { laneName, lanesOf } from "../../../shared/fanout/page/jobs/lanes.js";

const lane = (/** @type {number} */ lines, /** @type {number} */ dollars) => ({
  lines,
  known_cost_usd: dollars,
  saved_usd: 0,
});

test("a lane has a name for people", () => {
  assert.deepEqual(["realtime", "flex"].map(laneName), ["real time", "flex"]);
});

test("each lane has its lines and dollars, and the job its savings", () => {
  const fanout = { lanes: { realtime: lane(1200, 3), flex: lane(8, 0.5) }, saved_usd: 0.5 };
  assert.equal(lanesOf({ fanout }), "1,200 real time $3.00, 8 flex $0.5000; saved $0.5000");
});

test("a job in real time only, and one of an older gateway, show nothing", () => {
  for (const lanes of [{ realtime: lane(3, 1), flex: lane(0, 0) }, {}, undefined]) {
    assert.equal(lanesOf({ fanout: { lanes, saved_usd: 0 } }), "");
  }
  assert.equal(lanesOf({}), "");
});
