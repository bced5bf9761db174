"""
ES modules as one script, so that a visit is four requests and not forty. Pure.

A module becomes a function that gives its exports back, in the order in which they need each other.
It knows the forms that the page's modules use and no others: `import { a, b as c } from "./x.js"`
and `export` before a function, a class or a `const`. A cycle, or another form, is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+)\.js";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def join(modules: Mapping[str, str], entry: str) -> str:
    """The script that does what loading `entry` does; modules by their names without `.js`."""
    return "\n".join(_wrapped(name, modules[name]) for name in _ordered(modules, entry, ()))


def _ordered(modules: Mapping[str, str], entry: str, above: tuple[str, ...]) -> Iterator[str]:
    """The modules that `entry` needs, each once, and itself behind them."""
    if entry in above:
        raise ValueError(f"modules import each other: {' -> '.join([*above, entry])}")
    seen: dict[str, None] = {}
    for _, name in IMPORT.findall(modules[entry]):
        seen |= dict.fromkeys(_ordered(modules, name, (*above, entry)))
    yield from [*seen, entry]


def _wrapped(name: str, text: str) -> str:
    names = [found[1] for found in EXPORT.findall(text)]
    body = IMPORT.sub(_taken, EXPORT.sub(r"\1", text))
    if other := OTHER.search(body):
        raise ValueError(f"{name}.js: not a form that can be joined: {other[0]}")
    return (
        f"// {name}.js\nconst ${name} = (() => {{\n{body}return {{ {', '.join(names)} }};\n}})();\n"
    )


def _taken(found: re.Match[str]) -> str:
    return f"const {{{found[1].replace(' as ', ': ')}}} = ${found[2]};"
