"""docs/dependencies.md: what the project stands on, made of pyproject.toml and the lock files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHORT = 40
"""Characters of a licence's name; what is longer is its text."""

LOCKS = ROOT / "requirements"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Why each is there, and what there would be without it.
DIRECT: dict[str, tuple[str, str]] = {
    "genai-prices": (
        "price tables for models that the config has no price of",
        "no quote for them",
    ),
    "httptools": ("uvicorn's fast HTTP parser", "uvicorn's slow one, h11"),
    "httpx2": (
        "the seam for tests and other clients",
        "no `FanoutTransport`; nothing of the server",
    ),
    "msgspec": ("JSON, and the check of every field", "nothing works"),
    "pyqwest": ("the HTTP engine", "no provider is reached"),
    "python-multipart": ("uploads of job files", "no `/v1/files`"),
    "pyyaml": ("the config, unless it is JSON", "JSON configs only"),
    "rich": ("the terminal's views", "`ask`, `race`, `all` and `batch` print nothing"),
    "uvicorn": ("the HTTP server", "no server; the Python functions remain"),
    "uvloop": ("a fast event loop, not on Windows", "the standard loop, slower"),
    "aws-lambda-powertools": ("log and metrics on AWS", "no function on AWS"),
    "boto3": ("`fanout keys`; profiles and SSO for Bedrock", "`fanout keys` says so"),
    "xllamacpp": ("the small local model", "`make run` and `make demo` say so"),
}

HEAD = """# Dependencies

Made by `make docs` from `pyproject.toml` and the lock files in `requirements/`. Every package is
locked, with the hashes of its files; `make install` takes nothing else. `make lock` resolves them
anew.

`make audit` asks osv.dev about every locked version. It needs the network, and says so where it
cannot get through: then nothing has been audited, which is how it is as of this writing.
"""


def dependency_page() -> str:
    """The whole page."""
    lock, function = locked("runtime"), locked("lambda")
    optional = PROJECT["project"]["optional-dependencies"]
    direct = [name_of(said) for said in PROJECT["project"]["dependencies"]]
    extra = {name_of(said): group for group, names in optional.items() for said in names}
    lines = [HEAD, "## What the gateway needs", "", *_table([*direct, *extra], extra)]
    rest = sorted(set(lock) - set(direct))
    lines += [
        "",
        "## What these bring along",
        "",
        "| package | version | licence |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {lock[name]} | {licence(name)} |" for name in rest]
    lines += ["", "## What is in the function on AWS", ""]
    lines += [", ".join(f"{name} {version}" for name, version in function.items()) + "."]
    lines += ["", "## What only builds, tests and measures", ""]
    lines += [*_tools()]
    return "\n".join(lines) + "\n"


def _table(names: list[str], extra: dict[str, str]) -> Iterator[str]:
    known = {**locked("dev"), **locked("runtime")}
    yield "| package | version | licence | why | without it |"
    yield "|---|---|---|---|---|"
    for name in names:
        why, without = DIRECT[name]
        group = f" (extra `{extra[name]}`)" if name in extra else ""
        yield f"| {name}{group} | {known[name]} | {licence(name)} | {why} | {without} |"


def _tools() -> Iterator[str]:
    """Each environment that never serves anybody, by its lock."""
    for what, lock in (
        ("`make test`, `make check`", "dev"),
        ("the stack and its tests", "infra"),
        ("`make bench`", "bench"),
        ("`make clients`", "clients"),
        ("`make audit`", "audit"),
    ):
        yield f"* {what}: {len(locked(lock))} packages, `requirements/{lock}.txt`."


def locked(lock: str) -> dict[str, str]:
    """Names and versions in a lock file."""
    text = (LOCKS / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;]+)", text, re.MULTILINE))


def name_of(requirement: str) -> str:
    """A requirement's package."""
    found = re.match(r"[\w.-]+", requirement)
    return found[0] if found else ""


def licence(name: str) -> str:
    """What the package's own metadata say, where it is for this system."""
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return "(for other systems)"
    if expression := said.get("License-Expression"):
        return str(expression)
    classified = [c for c in said.get_all("Classifier") or () if c.startswith("License ::")]
    if classified:
        return str(classified[0].rpartition(":: ")[2])
    first = str(said.get("License") or "").strip().splitlines()
    return first[0] if first and len(first[0]) < SHORT else ""
