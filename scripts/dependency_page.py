"""Generates docs/dependencies.md from pyproject.toml and the lock files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHORT = 40
"""Characters: a longer `License` field holds the license's text, not its name."""

LOCKS = ROOT / "requirements"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

# What each package is for, and what does not work without it.
DIRECT: dict[str, tuple[str, str]] = {
    "genai-prices": (
        "prices of models that have none in the config",
        "no quotes for these models",
    ),
    "httptools": ("the HTTP parser", "no server; the Python functions work"),
    "httpx2": (
        "`general_settings.http_client: httpx`, and tests",
        "no `http_client: httpx`, no `http_client=` in Python; the rest works",
    ),
    "jsonschema-rs": (
        "checking responses by their JSON schema",
        "no `fanout.check`; everything else works",
    ),
    "msgspec": ("JSON, and validation of every field", "nothing works"),
    "prometheus-client": ("`general_settings.metrics`", "no `/metrics`"),
    "pydantic": (
        "the types of the Python functions, and the events of jobs on AWS",
        "no Python functions, no jobs on AWS; the server works",
    ),
    "pyqwest": ("the HTTP engine", "no calls to providers"),
    "python-multipart": ("uploading the files of jobs", "no `/v1/files`"),
    "pyyaml": ("configs in YAML", "configs must be JSON"),
    "rich": ("output in the terminal", "`ask`, `race`, `all` and `batch` print nothing"),
    "tqdm": ("`batch_completion(progress=True)`", "no progress bar"),
    "uvicorn": ("the HTTP server on AWS", "no function on AWS"),
    "uvloop": ("a fast event loop (not on Windows)", "the slower standard event loop"),
    "aws-lambda-powertools": (
        "logs, metrics and the parser of events on AWS",
        "the functions on AWS do not start",
    ),
    "boto3": (
        "`fanout keys`, `fanout batch --stack`; profiles and SSO for Bedrock",
        "these report what to install",
    ),
    "google-auth": (
        "access tokens for Vertex AI",
        "a request to Vertex AI reports what to install",
    ),
    "pyarrow": (
        "jobs whose input or output is Parquet",
        "such a job reports what to install",
    ),
    "psycopg": (
        "`fanout key import` of LiteLLM's database",
        "it reports what to install; a CSV works",
    ),
    "opentelemetry-sdk": (
        "`general_settings.traces`",
        "`fanout serve` with that setting reports what to install",
    ),
    "opentelemetry-exporter-otlp-proto-http": ("the same", "the same"),
    "xllamacpp": ("the small local model", "`make run` and `make demo` report what to install"),
}

HEAD = """# Dependencies

This page lists the packages that Fanout uses, what each is for, and what does not work without it.
For example, without httptools there is no server, but the Python functions work. `make docs`
generates the page from `pyproject.toml` and the lock files in `requirements/`.

Every package is locked with the hashes of its files, and `make install` accepts nothing else.
`make lock` updates the versions.

`make audit` looks up every locked version at osv.dev for known vulnerabilities. It needs the
network. It names each package that it could not look up, and fails then; npm packages, Node.js and
the weights of the local model are never looked up. So far no audit has succeeded, for lack of a
network.
"""


def dependency_page() -> str:
    """The whole page."""
    lock, function = locked("runtime"), locked("lambda")
    optional = PROJECT["project"]["optional-dependencies"]
    direct = [name_of(requirement) for requirement in PROJECT["project"]["dependencies"]]
    extra = {name_of(name): group for group, names in optional.items() for name in names}
    lines = [HEAD, "## Direct dependencies", "", *_table([*direct, *extra], extra)]
    rest = sorted(set(lock) - set(direct))
    lines += [
        "",
        "## Indirect dependencies",
        "",
        "| package | version | license |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {lock[name]} | {license_of(name)} |" for name in rest]
    lines += ["", "## Packages in the Lambda functions", ""]
    lines += [", ".join(f"{name} {version}" for name, version in function.items()) + "."]
    lines += ["", "## Packages of each command of make", ""]
    lines += [*_tools()]
    return "\n".join(lines) + "\n"


def _table(names: list[str], extra: dict[str, str]) -> Iterator[str]:
    known = {**locked("dev"), **locked("runtime")}
    yield "| package | version | license | used for | without it |"
    yield "|---|---|---|---|---|"
    for name in names:
        why, without = DIRECT[name]
        group = f" (extra `{extra[name]}`)" if name in extra else ""
        yield f"| {name}{group} | {known[name]} | {license_of(name)} | {why} | {without} |"


def _tools() -> Iterator[str]:
    """The environments of make's commands, each with its lock file."""
    for what, lock in (
        ("`make run`, `make demo`", "run"),
        ("`make dist`", "build"),
        ("`make test`, `make check`", "dev"),
        ("the AWS stack and its tests", "infra"),
        ("`make bench`", "bench"),
        ("`make clients`", "clients"),
        ("its clients that need `openai` 2", "clients-openai2"),
        ("`make audit`", "audit"),
    ):
        yield f"* {what}: {len(locked(lock))} packages, `requirements/{lock}.txt`."


def locked(lock: str) -> dict[str, str]:
    """The names and versions in a lock file."""
    text = (LOCKS / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;]+)", text, re.MULTILINE))


def name_of(requirement: str) -> str:
    """The package name of a requirement."""
    found = re.match(r"[\w.-]+", requirement)
    return found[0] if found else ""


def license_of(name: str) -> str:
    """The license in the metadata of a package, if it is installed on this system."""
    try:
        found = metadata(name)
    except PackageNotFoundError:
        return "(for other systems)"
    if expression := found.get("License-Expression"):
        return str(expression)
    classified = [c for c in found.get_all("Classifier") or () if c.startswith("License ::")]
    if classified:
        return str(classified[0].rpartition(":: ")[2])
    first = str(found.get("License") or "").strip().splitlines()
    return first[0] if first and len(first[0]) < SHORT else ""
