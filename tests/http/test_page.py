"""The page's files as a browser gets them: complete, small, cached, and from no other host."""

from __future__ import annotations

import ast
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from fanout.http.page_assets import FOLDER
from tests.support.gateway_server import RunningGateway, serve

MOST = 150_000
"""The most bytes that the whole page may be, compressed."""

CONFIG: dict[str, Any] = {"general_settings": {"master_key": "sk-master"}}
GZIP = {"accept-encoding": "gzip, br"}


class Got(Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        packed = self.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode()


def get(
    served: RunningGateway, path: str, headers: dict[str, str] = GZIP, method: str = "GET"
) -> Got:
    with served.ask(None, path, method, headers) as response:
        received = {name.lower(): value for name, value in response.getheaders()}
        return Got(response.status, received, response.read())


@pytest.fixture(scope="module")
def server() -> Iterator[RunningGateway]:
    """A gateway with a key and the page."""
    with serve(CONFIG, page=True) as served:
        yield served


@pytest.fixture(scope="module")
def files(server: RunningGateway) -> dict[str, Got]:
    """Everything that the page loads, by its path."""
    index = get(server, "/")
    names = re.findall(r'(?:src|href)="(page/[^"]+)"', index.text)
    return {"/": index, **{f"/{name}": get(server, f"/{name}") for name in names}}


@pytest.mark.parametrize("path", ["/", "/v1/"])
def test_the_page_is_at_the_root_without_a_key(server: RunningGateway, path: str) -> None:
    got = get(server, path)
    assert got.status == 200
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    assert got.headers["cache-control"] == "no-cache"
    assert "<title>Fanout</title>" in got.text


def test_its_addresses_are_relative_as_a_stage_of_aws_needs(server: RunningGateway) -> None:
    addresses = re.findall(r'(?:src|href)="([^"]+)"', get(server, "/").text)
    assert addresses
    assert [a for a in addresses if a.startswith("/") or ":" in a] == []


def test_a_visit_is_four_requests(files: dict[str, Got]) -> None:
    assert {path.rpartition("/")[2] for path in files} == {"", "app.js", "page.css", "icon.svg"}
    assert {got.status for got in files.values()} == {200}


def test_every_module_and_style_sheet_of_the_folder_is_in_it(files: dict[str, Got]) -> None:
    text = {path.rpartition("/")[2]: got.text for path, got in files.items()}
    modules = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js"))
    assert sorted(re.findall(r"^// ([\w/-]+\.js)$", text["app.js"], re.MULTILINE)) == modules
    assert all(path.read_text() in text["page.css"] for path in FOLDER.rglob("*.css"))
    kinds = {path.suffix for path in FOLDER.rglob("*") if path.is_file()}
    assert kinds == {".js", ".css", ".html", ".svg", ".md"}


def test_folders_import_only_what_the_readme_allows() -> None:
    allowed = {
        "compare": {"compare", "ui", "api"},
        "jobs": {"jobs", "ui", "api"},
        "spend": {"spend", "ui", "api"},
        "ui": {"ui", "api"},
        "api": {"api"},
    }
    for path in FOLDER.glob("*/*.js"):
        folder = path.parent.name
        targets = re.findall(r'(?:from |import\()"(?:\./|\.\./(\w+)/)', path.read_text())
        assert {target or folder for target in targets} <= allowed[folder], path


def error_codes() -> set[str]:
    """All codes of errors that a client of the gateway can get, as they are in the source."""
    package = FOLDER.parent
    found: set[str | None] = set()
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] not in {"cli", "library", "local", "providers"}:
            for node in ast.walk(ast.parse(path.read_text())):
                found.add(_code_in(node))
    return {code for code in found if code and re.fullmatch("[a-z]+(_[a-z]+)+", code)}


def _code_in(node: ast.AST) -> str | None:
    """The code of an error that a class or a call sets, or its type: the cause without a code."""
    match node:
        case (
            ast.Assign(targets=[ast.Name("code")], value=text)
            | ast.Assign(targets=[ast.Name("type")], value=text)
            | ast.AnnAssign(target=ast.Name("code"), value=text)
            | ast.keyword(arg="code", value=text)
            | ast.Call(func=ast.Name("RequestError" | "Forbidden"), args=[_, _, text])
            | ast.Call(func=ast.Name("BadLine" | "LineError"), args=[text, *_])
        ) if isinstance(text, ast.Constant):
            return str(text.value)
        case _:
            return None


def test_every_error_code_has_its_own_explanation() -> None:
    codes = error_codes()
    assert {"shutting_down", "invalid_json", "url_mismatch", "too_many_models"} <= codes
    text = (FOLDER / "ui" / "error-messages.js").read_text()
    assert codes - set(re.findall(r"^  (\w+): \[", text, re.MULTILINE)) == set()


def test_all_of_it_is_under_150_kilobytes_over_the_wire(files: dict[str, Got]) -> None:
    heads = sum(len(f"{n}: {v}\r\n") for got in files.values() for n, v in got.headers.items())
    assert sum(len(got.body) for got in files.values()) + heads < MOST


def test_what_lies_below_a_version_is_kept_for_ever(files: dict[str, Got]) -> None:
    kept = {got.headers["cache-control"] for path, got in files.items() if path != "/"}
    assert kept == {"public, max-age=31536000, immutable"}


def test_a_browser_that_has_the_file_gets_304(
    server: RunningGateway, files: dict[str, Got]
) -> None:
    for path, got in files.items():
        for tag in (got.headers["etag"], f'"other", W/{got.headers["etag"]}'):
            again = get(server, path, {**GZIP, "if-none-match": tag})
            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == got.headers["etag"]
        assert get(server, path, {**GZIP, "if-none-match": '"other"'}).status == 200


def test_who_takes_no_gzip_gets_the_same_as_it_is(
    server: RunningGateway, files: dict[str, Got]
) -> None:
    for path, got in files.items():
        plain = get(server, path, {})
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == "accept-encoding"
        assert plain.text == got.text


def test_every_file_is_shut_off_from_all_else(files: dict[str, Got]) -> None:
    for got in files.values():
        rules = dict(
            rule.split(" ", 1) for rule in got.headers["content-security-policy"].split("; ")
        )
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
        assert rules["require-trusted-types-for"] == "'script'"
        assert rules["trusted-types"] == "'none'"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["referrer-policy"] == "no-referrer"


def test_no_file_names_another_host(files: dict[str, Got]) -> None:
    found = {a for got in files.values() for a in re.findall(r"https?://[\w.-]+", got.text)}
    assert found == {"http://www.w3.org"}  # the name of SVG, which is never fetched


@pytest.mark.parametrize(
    "word",
    [
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser"),
        *("eval(", "new Function", "srcdoc", "javascript:", "localStorage", "document.cookie"),
        *('setAttribute("style"', "<style", "style="),
    ],
)
def test_nothing_makes_html_or_code_of_a_text_or_keeps_a_key(
    files: dict[str, Got], word: str
) -> None:
    assert [path for path, got in files.items() if word in got.text] == []


@pytest.mark.parametrize(
    "path",
    [
        *("/page/", "/page/app.js", "/page/0000/app.js", "/page/{version}/README.md"),
        *("/page/{version}/index.html", "/page/{version}/", "/page/{version}/../app.js"),
        *("/page/{version}/%2e%2e/http/app.py", "/page/{version}/nothing.js"),
        *("/page/{version}/ui/dom.js", "/page/{version}/ui/base.css"),
    ],
)
def test_there_is_nothing_else(server: RunningGateway, files: dict[str, Got], path: str) -> None:
    version = next(p for p in files if p != "/").split("/")[2]
    assert get(server, path.format(version=version)).status == 404


def test_it_is_only_read(server: RunningGateway) -> None:
    got = get(server, "/", method="POST")
    assert (got.status, got.headers["allow"]) == (405, "GET, HEAD")


def test_the_page_needs_no_key_and_all_that_it_asks_for_does(server: RunningGateway) -> None:
    assert get(server, "/").status == 200
    assert [get(server, path).status for path in ("/v1/models", "/v1/batches")] == [401, 401]


@pytest.mark.parametrize(("wanted", "usual", "status"), [
    (None, True, 200), (None, False, 404), (False, True, 404), (True, False, 200),
])  # fmt: skip
def test_the_config_decides_whether_the_page_is_served_and_without_it_the_host(
    wanted: bool | None,  # noqa: FBT001 -- a row of the table
    usual: bool,  # noqa: FBT001
    status: int,
) -> None:
    general = {} if wanted is None else {"page": wanted}
    with serve({"general_settings": general}, page=usual) as served:
        assert get(served, "/").status == status
        assert get(served, "/page/x/app.js").status == 404


def test_the_folder_explains_itself() -> None:
    assert (FOLDER / "README.md").read_text().startswith("# ")
    assert Path(__file__).parents[2] / "shared" / "fanout" / "page" == FOLDER
