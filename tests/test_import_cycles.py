"""No module of the package, the functions or the stack imports itself through other modules."""

from __future__ import annotations

import ast
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.support.module_imports import parsed, runtime_imports

ROOT = Path(__file__).parent.parent
PACKAGES = {"fanout": ROOT / "shared", "functions": ROOT, "infra": ROOT}
"""Each package, and the folder it is imported from."""


def modules() -> dict[str, Path]:
    """Every module's dotted name and file."""
    found = {}
    for package, base in PACKAGES.items():
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def graph(
    files: dict[str, Path], parse: Callable[[Path], ast.Module] = parsed
) -> dict[str, set[str]]:
    """What each module imports when it runs, also inside functions."""
    return {
        name: {
            module
            for imported in runtime_imports(parse(path), package_of(name, path))
            if (module := module_of(imported, files)) and module != name
        }
        for name, path in files.items()
    }


def package_of(name: str, path: Path) -> list[str]:
    parts = name.split(".")
    return parts if path.name == "__init__.py" else parts[:-1]


def module_of(imported: str, files: dict[str, Path]) -> str:
    """The module that has an imported name: `a.b` for `a.b.Class`; nothing if it is not ours."""
    while imported and imported not in files:
        imported = imported.rpartition(".")[0]
    return imported


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, if there are any."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    edges = graph(modules())
    assert len(edges) > 200
    assert cycle(edges) == []


def read_again(path: Path) -> ast.Module:
    """The syntax tree of a file that the test changes."""
    return ast.parse(path.read_text())


def test_a_circle_is_found_also_inside_functions_but_not_of_types(tmp_path: Path) -> None:
    sources = {"a": "from .b import B", "b": "from . import c", "c": "", "d": ""}
    sources["c"] = "def late():\n    from .a import A"
    sources["d"] = "if TYPE_CHECKING:\n    from .e import E"
    sources["e"] = "import p.d"
    files = {f"p.{name}": tmp_path / f"{name}.py" for name in sources}
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    assert set(cycle(graph(files, read_again))) == {"p.a", "p.b", "p.c"}
    (tmp_path / "c.py").write_text("from importlib import import_module\nimport_module('.d', 'p')")
    assert cycle(graph(files, read_again)) == []
    (tmp_path / "d.py").write_text("import importlib\nimportlib.import_module('p.b')")
    assert set(cycle(graph(files, read_again))) == {"p.b", "p.c", "p.d"}
