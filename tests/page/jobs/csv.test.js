import assert from "node:assert/strict";
import test from "node:test";

import { convert, fillIn, guess, Rows, separatorOf } from "../../../shared/fanout/page/jobs/csv.js";

/** The same text in pieces of this size. */
const cut = (text, length) => text.match(new RegExp(`[^]{1,${length}}`, "g")) ?? [];

test("a CSV's rows are the same however it is cut", () => {
  const text = '\uFEFFid,prompt\r\n1,"Say ""hi"", please"\r\n2,"two\nlines"\r\n\r\n3,plain';
  for (const length of [1, 2, 5, 1000]) {
    const rows = new Rows(",");
    const found = [...cut(text, length).flatMap((piece) => rows.feed(piece)), ...rows.end()];
    assert.deepEqual(found, [
      ["id", "prompt"],
      ["1", 'Say "hi", please'],
      ["2", "two\nlines"],
      ["3", "plain"],
    ]);
  }
});

test("a quote that is never closed is told", () => {
  const rows = new Rows(",");
  rows.feed('a,b\n1,"open');
  assert.throws(() => rows.end(), /never closed/);
});

test("the separator and the prompt's column are guessed from the head", () => {
  assert.deepEqual(["a,b", "a;b;c", "a\tb", "alone"].map(separatorOf), [",", ";", "\t", ","]);
  assert.equal(guess(["id", "Question", "text"], [["1", "", "long"]]), "Question");
  assert.equal(
    guess(
      ["id", "shop", "city"],
      [
        ["1", "bakery", "Lund"],
        ["2", "x", "y"],
      ],
    ),
    "shop",
  );
  assert.equal(guess([], []), "");
});

test("a template takes the columns that there are and leaves other braces", () => {
  assert.equal(fillIn("{a} {b} {c} {}", { a: "1", b: "{a}" }), "1 {a} {c} {}");
  assert.equal(fillIn("{constructor}", {}), "{constructor}");
});

test("a CSV becomes lines named by their rows, and empty prompts none", async () => {
  async function* pieces() {
    yield "word;n\nbread;1\n;2\n";
    yield "milk;3";
  }
  const { lines, rows } = await convert(pieces(), ";", "{word}", "Be brief.");
  assert.equal(rows, 3);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    ["bread", "milk"].map((content, at) => ({
      custom_id: `row-${at ? 3 : 1}`,
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content },
      ],
    })),
  );
});
