"""Bundling modules that import each other into one script."""

from __future__ import annotations

import pytest

from fanout.http.script_bundle import bundle

A = """import { b, two as c } from "./parts/b-b.js";
import {
  d,
} from "./d.js";
export function a() { return b + c() + d; }
"""
B = """import { d } from "../d.js";
export const b = d;
export async function* two() { yield "import x"; }
"""
D = "export class E {}\nexport const d = 1;\n"


def test_an_imported_module_comes_first_and_once() -> None:
    text = bundle({"a.js": A, "parts/b-b.js": B, "d.js": D, "unused.js": "never"}, "a.js")
    assert (
        text
        == """// d.js
const $d = (() => {
class E {}
const d = 1;
return { E, d };
})();

// parts/b-b.js
const $parts$b_b = (() => {
const { d } = $d;
const b = d;
async function* two() { yield "import x"; }
return { b, two };
})();

// a.js
const $a = (() => {
const { b, two: c } = $parts$b_b;
const {
  d,
} = $d;
function a() { return b + c() + d; }
return { a };
})();
"""
    )


def test_an_import_cycle_is_an_error() -> None:
    loop = {
        "a.js": 'import { b } from "./b.js";\n',
        "b.js": 'import { a } from "./a.js";\n',
    }
    with pytest.raises(ValueError, match=r"a\.js -> b\.js -> a\.js"):
        bundle(loop, "a.js")


@pytest.mark.parametrize(
    "line",
    [
        *("export default 1;", "export { x };", "export let x = 1;", 'import "./b.js";'),
        *('import x from "./b.js";', 'import * as x from "./b.js";', 'export * from "./b.js";'),
    ],
)
def test_a_form_that_is_not_supported_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"a\.js: cannot be bundled"):
        bundle({"a.js": f"{line}\n", "b.js": ""}, "a.js")
