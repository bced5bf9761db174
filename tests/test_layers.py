"""
The layers, enforced: what may know what, and where each effect has its one door.

`LAYERS` reads from the top: a module may import those of the rows below its own, never those above,
and never those beside it. A folder is one module; inside it anything goes. `DOORS` says which
modules alone may import a package; `PURE` are those that may touch no effect at all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "shared" / "fanout"

LAYERS = """
    __init__  __main__
    cli
    http  local  completions  powertools                surfaces: parse, ask, answer
    asked
    bulk                                                jobs: their files, workers and records
    chunk_stream  compose                               the composition root
    answers  portal
    gateway                                             composition: grids, deadlines, names
    contest  interleave
    combine  report
    stack_keys
    router  aws  secrets_manager                        one model name to one answer
    tries                                               one attempt, and what is told of it
    transport  groups  retry  observe  prices  leg      effects and policies
    config
    providers  concurrency                              translation | structure
    schema
    wire  settings
    errors  secret                                      values
"""

DOORS = {
    "pyqwest": "transport/lanes transport/replies",  # the HTTP engine
    "httpx2": "transport/httpx_seam",  # for other people's clients
    "botocore": "aws bulk/aws/clients stack_keys",
    "boto3": "bulk/aws/clients stack_keys",
    "yaml": "config/load",
    "uvicorn": "cli/host cli/bounded",
    "rich": "cli",
    "argparse": "cli",
    "aws_lambda_powertools": "powertools",
    "subprocess": "local",
    "threading": "portal local cli/local_run",
    "json": "wire/json",  # and that only to name a duplicate key
    "pydantic": "",
    "logging": "",
    "asyncio": "concurrency transport groups router gateway asked portal http cli bulk aws"
    " secrets_manager",
}

PURE = """
    answers  bulk/limits  bulk/lines  bulk/plan  bulk/records  bulk/seen  bulk/tally  combine
    config/keys  config/model  config/resolve  errors  interleave  leg  observe
    providers  report  retry  schema  secret  tries  transport/faults  transport/redact  wire
"""
EFFECTS = "asyncio os pathlib random secrets socket ssl subprocess tempfile threading time"


def named(path: Path) -> str:
    """`transport/lanes` of `…/transport/lanes.py`, `http` of `…/http/__init__.py`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "/".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports(tree: ast.Module, package: Sequence[str]) -> Iterator[str]:
    """The dotted names that a file imports, wherever in it; relative ones made absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [*base, *([node.module] if node.module else [])]
            yield from (".".join([*module, alias.name]) for alias in node.names)


# A remark stands behind three spaces.
ROWS = [line.strip().split("   ")[0].split() for line in LAYERS.strip().splitlines()]
RANK = {name: rank for rank, row in enumerate(reversed(ROWS)) for name in row}
FILES = {named(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
IMPORTS = {
    name: set(imports(tree, FILES[name].relative_to(PACKAGE.parent).parent.parts))
    for name, tree in TREES.items()
}


def is_in(name: str, places: str) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places.split())


def test_every_module_has_its_row() -> None:
    assert [name for name in FILES if name.split("/")[0] not in RANK] == []


def test_imports_only_go_down() -> None:
    up = []
    for name, found in IMPORTS.items():
        own = name.split("/")[0]
        known = {
            other.split(".")[1] for other in found if other.startswith("fanout.")
        } & RANK.keys()
        up += [f"{name} knows {one}" for one in known - {own} if RANK[one] >= RANK[own]]
    assert up == []


def test_each_effect_has_one_door() -> None:
    packages = {name: {one.split(".")[0] for one in found} for name, found in IMPORTS.items()}
    assert [
        f"{name} imports {package}"
        for name, found in packages.items()
        for package in found & DOORS.keys()
        if not is_in(name, DOORS[package])
    ] == []


def test_what_is_pure_touches_no_effect() -> None:
    packages = {name: {one.split(".")[0] for one in found} for name, found in IMPORTS.items()}
    assert [
        f"{name} imports {package}"
        for name, found in packages.items()
        if is_in(name, PURE)
        for package in found & set(EFFECTS.split())
    ] == []


def test_the_environment_is_read_in_one_place() -> None:
    words = {"environ", "environb", "getenv"}
    readers = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in words
    }
    assert readers == {"settings"}


def test_only_the_registry_knows_the_providers_folders() -> None:
    assert [
        f"{name} imports {one}"
        for name, found in IMPORTS.items()
        for one in found
        if one.startswith("fanout.providers.") and not name.startswith("providers/")
        if one.split(".")[2] not in {"base", "registry"}
    ] == []


def test_the_infrastructure_knows_nothing_of_the_code_it_deploys() -> None:
    found = {
        name.split(".")[0]
        for path in (ROOT / "infra").rglob("*.py")
        for name in imports(ast.parse(path.read_text()), ["infra"])
    }
    assert found & {"fanout", "functions"} == set()


def test_the_tables_name_only_what_there_is() -> None:
    places = {*" ".join(DOORS.values()).split(), *PURE.split(), *RANK}
    assert [place for place in places if not any(is_in(name, place) for name in FILES)] == []
