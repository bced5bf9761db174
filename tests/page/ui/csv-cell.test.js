import assert from "node:assert/strict";
import test from "node:test";

import { csvCell } from "../../../shared/fanout/page/ui/csv-cell.js";

const SIGNS = ["=", "+", "-", "@", "＝", "＋", "－", "＠"];

test("no cell begins like a formula, also not after control characters", () => {
  for (const before of ["", "\t", "\r", "\n", "\r\n", "\0", "\x1b", "\x7f"])
    for (const sign of SIGNS) {
      const given = `${before}${sign}1+cmd|"x"`;
      assert.equal(csvCell(given), `"'${given.replaceAll('"', '""')}"`);
    }
});

test("numbers and other texts stay as they are", () => {
  for (const given of ["-5", "+1.5", "-1e-9", "-3%", "a=1", "1-2", "", "é"])
    assert.equal(csvCell(given), given);
  assert.equal(csvCell(-0.5), "-0.5");
  assert.equal(csvCell(" a"), '" a"');
});
