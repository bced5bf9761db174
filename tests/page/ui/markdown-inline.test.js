import assert from "node:assert/strict";
import test from "node:test";

import { isSafe } from "../../../shared/fanout/page/ui/markdown-inline.js";

test("only addresses of the web become links", () => {
  assert.deepEqual(["https://a.b", "HTTP://a", "mailto:a@b"].map(isSafe), [true, true, true]);
  assert.deepEqual(
    ["javascript:alert(1)", " javascript:x", "data:text/html,x", "//a.b", "vbscript:x"].map(isSafe),
    [false, false, false, false, false],
  );
});
