import assert from "node:assert/strict";
import test from "node:test";

import { Events } from "../../../shared/fanout/page/api/sse.js";

/** The same text in pieces of this size. */
const cut = (text, length) => text.match(new RegExp(`[^]{1,${length}}`, "g")) ?? [];

test("events are the same however the stream is cut", () => {
  const text =
    ': keep-alive\n\ndata: {"a":1}\r\n\r\ndata: x\rdata:y\r\rdata: [DONE]\n\ndata: unfinished';
  for (const length of [1, 2, 7, 1000]) {
    const events = new Events();
    const found = cut(text, length).flatMap((piece) => events.feed(piece));
    assert.deepEqual(found, ['{"a":1}', "x\ny", "[DONE]"], `pieces of ${length}`);
  }
});

test("a line separator inside an event's text ends no line", () => {
  assert.deepEqual(new Events().feed("data: a\u2028b\u0085c\n\n"), ["a\u2028b\u0085c"]);
});
