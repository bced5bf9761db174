import assert from "node:assert/strict";
import test from "node:test";

import { EventParser } from "../../../shared/fanout/page/api/sse.js";

/** Splits a text into chunks of this length. */
const split = (text, length) => text.match(new RegExp(`[^]{1,${length}}`, "g")) ?? [];

test("the events do not depend on how the stream is split", () => {
  const text =
    ': keep-alive\n\ndata: {"a":1}\r\n\r\ndata: x\rdata:y\r\rdata: [DONE]\n\ndata: unfinished';
  for (const length of [1, 2, 7, 1000]) {
    const events = new EventParser();
    const found = split(text, length).flatMap((chunk) => events.feed(chunk));
    assert.deepEqual(found, ['{"a":1}', "x\ny", "[DONE]"], `chunks of ${length}`);
  }
});

test("a Unicode line separator does not end a line", () => {
  assert.deepEqual(new EventParser().feed("data: a\u2028b\u0085c\n\n"), ["a\u2028b\u0085c"]);
});
