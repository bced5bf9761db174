"""
Bundles ES modules into one script, so that a visit is four requests and not forty. Pure.

Each module becomes a function that returns its exports, and a module stands after those that it
imports. The modules may use `import { a, b as c } from "./x.js"` (or `"../y/x.js"`), and `export`
before a function, a class or a `const`. Any other form, or an import cycle, is an error.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.\.?/[\w/.-]+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def bundle(modules: Mapping[str, str], entry: str) -> str:
    """The script that does what loading `entry` does; modules by their paths, such as `a/b.js`."""
    return "\n".join(_wrapped(path, modules[path]) for path in _ordered(modules, entry, ()))


def _ordered(modules: Mapping[str, str], entry: str, above: tuple[str, ...]) -> Iterator[str]:
    """The modules that `entry` imports, each once, and then `entry` itself."""
    if entry in above:
        raise ValueError(f"modules import each other: {' -> '.join([*above, entry])}")
    seen: dict[str, None] = {}
    for _, target in IMPORT.findall(modules[entry]):
        seen |= dict.fromkeys(_ordered(modules, _resolved(entry, target), (*above, entry)))
    yield from [*seen, entry]


def _wrapped(path: str, text: str) -> str:
    """One module as a function that returns its exports."""

    def taken(found: re.Match[str]) -> str:
        exports = _variable(_resolved(path, found[2]))
        return f"const {{{found[1].replace(' as ', ': ')}}} = {exports};"

    names = [found[1] for found in EXPORT.findall(text)]
    body = IMPORT.sub(taken, EXPORT.sub(r"\1", text))
    if other := OTHER.search(body):
        raise ValueError(f"{path}: cannot be bundled: {other[0]}")
    exports = f"return {{ {', '.join(names)} }};"
    return f"// {path}\nconst {_variable(path)} = (() => {{\n{body}{exports}\n}})();\n"


def _resolved(importer: str, target: str) -> str:
    """The path of an imported module: `../ui/dom.js` in `jobs/quote.js` is `ui/dom.js`."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), target))


def _variable(path: str) -> str:
    """The variable that has a module's exports: `$ui$error_box` for `ui/error-box.js`."""
    return "$" + path.removesuffix(".js").replace("/", "$").replace("-", "_")
