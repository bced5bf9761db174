import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  checkSystem,
  checkTemplate,
  fillTemplate,
  hasValue,
} from "../../../shared/fanout/page/jobs/template.js";

const CASES = JSON.parse(
  readFileSync(new URL("../../support/template_cases.json", import.meta.url), "utf8"),
);

for (const { template, columns, near, names, stays } of CASES)
  test(`the page checks a template as the command line does: ${template}`, () => {
    const { problem, notes } = checkTemplate(template, columns);
    if (near)
      assert.match(problem, new RegExp(`^there is no column .*; did you mean \`${near}\`\\?$`));
    else if (!names) assert.match(problem, /^the prompt names no column; write \{/);
    else assert.equal(problem, "");
    assert.deepEqual(
      notes,
      stays.map((name) => `\`{${name}}\` is no column, and stays as it is`),
    );
  });

test("a system message is a template that may name no column", () => {
  assert.deepEqual(checkSystem("Be brief.", ["a"]), { problem: "", notes: [] });
  assert.deepEqual(checkSystem("{a} {always}", ["a"]).notes, [
    "`{always}` is no column, and stays as it is",
  ]);
  assert.match(checkSystem("{langage}", ["language"]).problem, /did you mean `language`\?$/);
});

test("a template fills in the known columns and leaves other braces", () => {
  assert.equal(fillTemplate("{a} { b } {c} {}", { a: "1", b: "{a}" }), "1 {a} {c} {}");
  assert.equal(fillTemplate("{constructor}", {}), "{constructor}");
});

test("a row is skipped if all columns of the template are empty in it", () => {
  assert.equal(hasValue("{a} {b}", { a: " ", b: "x" }), true);
  assert.equal(hasValue("{a} {b} {constructor}", { a: " ", b: "" }), false);
});
