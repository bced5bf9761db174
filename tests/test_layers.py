"""
The layers, enforced: what may import what, and which modules may have effects.

`LAYERS` reads from the top: a module may import those of the rows below its own, never those above,
and never those beside it. A folder is one module; only `bulk` has a table for what is inside it.
`ALLOWED_IMPORTERS` are the only modules that may import a package; those of `PURE` have no effects.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.support.module_imports import imports

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "shared" / "fanout"

LAYERS = """
    __init__  __main__
    cli                                     the command line
    http  local  library                    the HTTP surface, the local model, the Python functions
    server                                  clients' connections, and the shutdown
    bulk                                    jobs
    gateway                                 one request: its models, strategy, deadline
    routing  aws  google                    one model name: load balancing, retries, attempts
    transport  telemetry                    one call; log records and prices
    config                                  names to deployments
    providers  concurrency                  translation | structure
    schema                                  OpenAI's shapes
    wire  settings  disk                    bytes to values; complete files
    errors  secret                          values
"""

BULK_LAYERS = """
    aws  local                              the two hosts and their stores
    runner                                  a job from start to end
    work                                    the worker and the finisher
    service                                 files and batches as clients see them
    pacing                                  rate limits, adaptive concurrency
    input                                   lines, shards, the quote
    store  costs                            protocols; prices of a line
    totals                                  values
"""

TOP_LEVEL = {
    "shared/fanout/*.py": "__init__ __main__ errors secret settings",
    "shared/fanout/page/*.js": "app",
    "functions/*.py": "__init__ powertools",
    "infra/*.py": """
        __init__ app bedrock config lambda_settings logs nag_suppressions props secrets stack
    """,
    "tests/*.py": """
        conftest test_docs test_environment test_import_cycles test_layers test_public_api
        test_startup
    """,
}
"""The only files at the top of these folders; any other belongs into one of their folders."""

ALLOWED_IMPORTERS = {
    "pyqwest": "transport/connection_pool transport/response_reading",  # the HTTP engine
    "httpx2": "transport/httpx_client transport/httpx_transport",  # only on request
    "botocore": "aws/credentials aws/stack_keys bulk/aws/clients",
    "boto3": "aws/stack_keys bulk/aws/clients",
    "google": "google",
    "urllib3": "",
    "requests": "",
    "yaml": "config/document",
    "uvicorn": "",
    "rich": "cli",
    "argparse": "cli",
    "aws_lambda_powertools": "",  # functions/ alone
    "subprocess": "local",
    "threading": "concurrency/threads google library/background_loop local cli/local_run",
    "json": "wire/json wire/lenient_json",  # to name a duplicate key; for odd responses
    "pydantic": "library",
    "logging": "",
    "asyncio": "concurrency disk transport routing gateway library http server cli bulk aws google",
}

PURE = """
    bulk/input/bloom_filter  bulk/input/lines  bulk/input/planner  bulk/input/splitter
    bulk/pacing/adaptive_concurrency  bulk/pacing/limits
    bulk/service/records  bulk/totals  config/connection
    config/deployment  config/edits  config/entries  config/fields  config/google  config/litellm
    config/model  config/resolve  config/routes
    config/unknown_keys  errors
    gateway/combine  gateway/interleave  gateway/report
    library/errors  library/inputs  library/json_object  library/options
    library/structured_output  library/types
    providers
    routing/leg  routing/retry_policy  schema  secret  telemetry/observers
    server/limits  server/request_parser
    transport/error_bodies  transport/error_mapping  transport/redaction  wire
"""
EFFECTS = "asyncio os pathlib random secrets socket ssl subprocess tempfile threading time"


def named(path: Path) -> str:
    """`transport/engine` of `…/transport/engine.py`, `http` of `…/http/__init__.py`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "/".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def ranks(table: str) -> dict[str, int]:
    """The row of each name, counted from the bottom; three spaces begin a row's description."""
    rows = [re.split(r" {3,}", line.strip())[0].split() for line in table.strip().splitlines()]
    return {name: rank for rank, row in enumerate(reversed(rows)) for name in row}


RANK = ranks(LAYERS)
BULK_RANK = ranks(BULK_LAYERS)
FILES = {named(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
IMPORTS = {
    name: set(imports(tree, FILES[name].relative_to(PACKAGE.parent).parent.parts))
    for name, tree in TREES.items()
}


def is_in(name: str, places: str) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places.split())


def upward(rank: dict[str, int], depth: int) -> list[str]:
    """Imports that do not go down, between the names that stand `depth` folders deep."""
    found = []
    for name, imported in IMPORTS.items():
        own = part(f"fanout.{name.replace('/', '.')}", depth)
        known = {part(one, depth) for one in imported if one.startswith("fanout.")} & rank.keys()
        if own in rank:
            found += [f"{name} imports {one}" for one in known - {own} if rank[one] >= rank[own]]
    return found


def part(dotted: str, depth: int) -> str:
    """`transport` of `fanout.transport.client` at depth 0; below that, of `bulk` alone."""
    parts = dotted.split(".")[1:]
    if depth and parts[:depth] != ["bulk"]:
        return ""
    return parts[depth] if len(parts) > depth else ""


def test_every_module_has_its_row() -> None:
    assert [name for name in FILES if name.split("/")[0] not in RANK] == []
    inner = [name.split("/")[1] for name in FILES if name.startswith("bulk/")]
    assert set(inner) <= BULK_RANK.keys()


def test_no_new_file_is_at_the_top_of_a_folder() -> None:
    files = {pattern: sorted(path.stem for path in ROOT.glob(pattern)) for pattern in TOP_LEVEL}
    assert files == {pattern: sorted(names.split()) for pattern, names in TOP_LEVEL.items()}


def test_imports_only_go_down() -> None:
    assert upward(RANK, 0) == []


def test_imports_inside_bulk_only_go_down() -> None:
    assert upward(BULK_RANK, 1) == []


def test_a_package_with_effects_is_imported_only_where_it_may_be() -> None:
    packages = {name: {one.split(".")[0] for one in found} for name, found in IMPORTS.items()}
    assert [
        f"{name} imports {package}"
        for name, found in packages.items()
        for package in found & ALLOWED_IMPORTERS.keys()
        if not is_in(name, ALLOWED_IMPORTERS[package])
    ] == []


def test_pure_modules_import_nothing_with_effects() -> None:
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
        if one.split(".")[2] not in {"base", "error_rules", "rate_limits", "registry"}
    ] == []


def test_the_infrastructure_knows_nothing_of_the_code_it_deploys() -> None:
    found = {
        name.split(".")[0]
        for path in (ROOT / "infra").rglob("*.py")
        for name in imports(ast.parse(path.read_text()), ["infra"])
    }
    assert found & {"fanout", "functions"} == set()


def test_the_tables_name_only_what_there_is() -> None:
    places = {
        *" ".join(ALLOWED_IMPORTERS.values()).split(),
        *PURE.split(),
        *RANK,
        *(f"bulk/{name}" for name in BULK_RANK),
    }
    assert [place for place in places if not any(is_in(name, place) for name in FILES)] == []
