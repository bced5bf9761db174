import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  CsvParser,
  csvToLines,
  detectSeparator,
  fillTemplate,
  guessPromptColumn,
} from "../../../shared/fanout/page/jobs/csv.js";

/** Splits a text into chunks of this length. */
const split = (text, length) => text.match(new RegExp(`[^]{1,${length}}`, "g")) ?? [];

test("a CSV's rows do not depend on how the file is split", () => {
  const text = '\uFEFFid,prompt\r\n1,"Say ""hi"", please"\r\n2,"two\nlines"\r\n\r\n3,plain';
  for (const length of [1, 2, 5, 1000]) {
    const parser = new CsvParser(",");
    const found = [...split(text, length).flatMap((chunk) => parser.feed(chunk)), ...parser.end()];
    assert.deepEqual(found, [
      ["id", "prompt"],
      ["1", 'Say "hi", please'],
      ["2", "two\nlines"],
      ["3", "plain"],
    ]);
  }
});

test("a quoted field that is never closed is an error", () => {
  const parser = new CsvParser(",");
  parser.feed('a,b\n1,"open');
  assert.throws(() => parser.end(), /never closed/);
});

test("the separator and the prompt's column are guessed from the first rows", () => {
  assert.deepEqual(["a,b", "a;b;c", "a\tb", "alone"].map(detectSeparator), [",", ";", "\t", ","]);
  assert.equal(guessPromptColumn(["id", "Question", "text"], [["1", "", "long"]]), "Question");
  assert.equal(
    guessPromptColumn(
      ["id", "shop", "city"],
      [
        ["1", "bakery", "Lund"],
        ["2", "x", "y"],
      ],
    ),
    "shop",
  );
  assert.equal(guessPromptColumn([], []), "");
});

test("a template fills in the known columns and leaves other braces", () => {
  assert.equal(fillTemplate("{a} {b} {c} {}", { a: "1", b: "{a}" }), "1 {a} {c} {}");
  assert.equal(fillTemplate("{constructor}", {}), "{constructor}");
});

test("each row becomes a line with its number, and an empty prompt becomes none", async () => {
  async function* chunks() {
    yield "word;n\nbread;1\n;2\n";
    yield "milk;3";
  }
  const { lines, rows } = await csvToLines(chunks(), ";", "{word}", "Be brief.");
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

const CASES = new URL("../../support/csv_cases.json", import.meta.url);

for (const { csv, prompts, error } of JSON.parse(readFileSync(CASES, "utf8"))) {
  test(`the page reads CSV as the command line does: ${JSON.stringify(csv)}`, async () => {
    async function* chunks() {
      yield csv;
    }
    const separator = detectSeparator(csv.split(/[\r\n]/)[0]);
    const read = csvToLines(chunks(), separator, "{prompt}", "");
    if (error) {
      await assert.rejects(read, { message: error });
      return;
    }
    const found = (await read).lines.map((line) => JSON.parse(line).messages.at(-1).content);
    assert.deepEqual(found, prompts);
  });
}
