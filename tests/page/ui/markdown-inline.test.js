import assert from "node:assert/strict";
import test from "node:test";

import { isSafeUrl } from "../../../shared/fanout/page/ui/markdown-inline.js";

test("only http, https and mailto URLs become links", () => {
  assert.deepEqual(["https://a.b", "HTTP://a", "mailto:a@b"].map(isSafeUrl), [true, true, true]);
  assert.deepEqual(
    ["javascript:alert(1)", " javascript:x", "data:text/html,x", "//a.b", "vbscript:x"].map(
      isSafeUrl,
    ),
    [false, false, false, false, false],
  );
});
