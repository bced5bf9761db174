"""
The documents, held to the code: what they show parses, what they name is there.

A page is any Markdown file that is tracked here by hand or made by `make docs`.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from fanout.cli.main import make_parser
from fanout.config.load import load_text
from fanout.config.resolve import resolve
from fanout.schema.fanout import parse_request

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DECISIONS = sorted(ROOT.glob("docs/decisions/*.md"))
CODE = [*ROOT.glob("shared/**/*.py"), *ROOT.glob("infra/**/*.py"), *ROOT.glob("functions/**/*.py")]
TESTS = "\n".join(path.read_text() for path in ROOT.glob("tests/**/*.py"))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
ENVIRONMENT = re.compile(r"os\.environ/(\w+)")
CURLED = re.compile(r"-d '(\{.*?\})'", re.DOTALL)

every_page = pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
)


def snippets(page: Path, language: str) -> Iterator[str]:
    """The page's code in one language."""
    for told, code in FENCE.findall(page.read_text()):
        if told == language:
            yield code


def prose(page: Path) -> str:
    """The page without its code."""
    return FENCE.sub("", page.read_text())


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.read_text().splitlines()) < 200


@every_page
def test_python_parses_and_what_it_takes_from_fanout_is_there(page: Path) -> None:
    for code in snippets(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fanout"):
                module = import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names)


@every_page
def test_json_parses(page: Path) -> None:
    assert all(json.loads(code) is not None for code in snippets(page, "json"))


@every_page
def test_yaml_parses_and_a_config_is_one_that_the_gateway_takes(page: Path) -> None:
    for code in snippets(page, "yaml"):
        if not isinstance(yaml.safe_load(code), dict):
            continue
        env = dict.fromkeys(ENVIRONMENT.findall(code), "http://127.0.0.1:1")
        assert resolve(load_text(code, env), env).groups


@every_page
def test_what_curl_sends_is_a_request(page: Path) -> None:
    for body in CURLED.findall(page.read_text()):
        assert parse_request(json.loads(body)).models


@every_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def anchors(page: Path) -> set[str]:
    """What GitHub calls the page's headings."""
    words = (re.sub(r"[^\w\- ]", "", found.lower()) for found in HEADING.findall(prose(page)))
    return {heading.replace(" ", "-") for heading in words}


@every_page
def test_files_that_are_named_by_their_path_are_there(page: Path) -> None:
    places = [ROOT, ROOT / "shared" / "fanout", page.parent]
    named = re.findall(r"`([\w.-]+(?:/[\w.-]+)+\.(?:py|ya?ml|txt|md|sh|in))`", prose(page))
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


@every_page
def test_tests_that_are_named_are_there(page: Path) -> None:
    named = re.findall(r"`(test_\w+)`", prose(page))
    assert [name for name in named if not re.search(rf"def {name}\(", TESTS)] == []


@every_page
def test_commands_that_are_named_are_there(page: Path) -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = re.findall(r"(?:`|^)make ([a-z-]+)(?:`|$| )", page.read_text(), re.MULTILINE)
    assert set(told) - verbs == set()
    words = make_parser().format_help()
    told = re.findall(r"`(?:\.venv/bin/)?fanout ([a-z]+)", prose(page))
    assert [word for word in told if f"\n    {word} " not in words] == []


def test_the_pages_that_are_made_from_the_code_are_current() -> None:
    done = subprocess.run(  # noqa: S603 -- our own words
        [sys.executable, str(ROOT / "scripts" / "make_docs.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_decision_that_the_code_cites_is_there() -> None:
    cited = {
        number for path in CODE for number in re.findall(r"decision (\d{4})", path.read_text())
    }
    assert cited
    assert cited - {path.name[:4] for path in DECISIONS} == set()


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_tells_why_what_and_what_comes_of_it(path: Path) -> None:
    parts = ["Context", "Decision", "Consequence"]
    assert HEADING.findall(path.read_text())[1:] == parts
    assert path.read_text().startswith(f"# {path.name[:4]}: ")
    assert f"(decisions/{path.name})" in (ROOT / "docs" / "architecture.md").read_text()


def test_the_architecture_page_has_the_layers_and_every_folder() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    layers = (ROOT / "tests" / "test_layers.py").read_text()
    tables = re.findall(r'^\w*LAYERS = """\n(.*?)"""', layers, re.DOTALL | re.MULTILINE)
    assert len(tables) == 2
    assert [table for table in tables if f"```\n{dedent(table)}```" not in page] == []
    folders = {path.parent.name for path in ROOT.glob("shared/fanout/*/__init__.py")}
    assert [name for name in sorted(folders) if f"`shared/fanout/{name}/`" not in page] == []


def test_classes_that_the_architecture_page_names_are_there() -> None:
    named = set(re.findall(r"`([A-Z][a-z]\w+)`", prose(ROOT / "docs" / "architecture.md")))
    code = "\n".join(path.read_text() for path in CODE)
    classes = set(re.findall(r"^class (\w+)", code, re.MULTILINE))
    assert len(named) > 10
    assert named - classes == set()


def test_the_changelog_begins_with_the_version_that_is_built() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found[0] == project["version"]


def test_the_package_is_described_in_the_readmes_words() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    words = " ".join(README.read_text().split())
    assert project["description"].partition(":")[0] in words
