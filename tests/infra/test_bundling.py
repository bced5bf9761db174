"""The zip of the functions: what it contains, and that it is reproducible."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from infra.bundling.bundle import bundle
from infra.bundling.strip import strip_file, stripped

from .synth import config_file, synthesize

LIMIT = 60_000_000
WHEELS = {
    "annotated_types",
    "aws_lambda_powertools",
    "click",
    "h11",
    "httptools",
    "jmespath",
    "jsonschema_rs",
    "msgspec",
    "multipart",
    "opentelemetry",
    "pydantic",
    "pydantic_core",
    "pyqwest",
    "python_multipart",
    "typing_extensions.py",
    "typing_inspection",
    "uvicorn",
    "uvloop",
}
HTTPX_WHEELS = {"anyio", "httpcore2", "httpx2", "idna", "truststore"}
OWN = {"config.json", "fanout", "functions", "__pycache__"}
# From Include/internal/pycore_magic_number.h in CPython; PEP 552 describes the flags after it.
MAGIC = {"3.13": 3571, "3.14": 3627}
UNCHECKED_HASH = (1).to_bytes(4, "little")
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}


ARM, X86 = ("arm64", "3.14"), ("x86_64", "3.13")


@pytest.fixture(scope="module", params=[ARM, X86], ids="-".join)
def target(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture(scope="module")
def without_httpx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("bundle")
    bundle(output, architecture=ARM[0], python=ARM[1], config='{"model_list": []}')
    return output


@pytest.fixture(scope="module")
def folder(target: tuple[str, str], request: pytest.FixtureRequest) -> Path:
    """The zip for a target: one without httpx, and one with it, because each takes seconds."""
    found: Path = request.getfixturevalue("without_httpx" if target == ARM else "with_httpx")
    return found


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A config that asks for httpx."""
    return config_file(tmp_path_factory.mktemp("config"), http_client="httpx")


@pytest.fixture(scope="module")
def built(config: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stack with this config and its code."""
    output = tmp_path_factory.mktemp("built")
    build(config, output)
    return output


def build(config: str, output: Path) -> None:
    options = {"config": config, "architecture": X86[0], "python": X86[1]}
    synthesize(options, outdir=str(output))


@pytest.fixture(scope="module")
def with_httpx(built: Path) -> Path:
    """The code in this stack."""
    (code,) = (path.parent for path in built.glob("asset.*/fanout"))
    return code


def files(folder: Path) -> dict[str, Path]:
    return {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}


def test_it_contains_the_gateway_and_what_it_needs_and_nothing_else(without_httpx: Path) -> None:
    found = {path.name for path in without_httpx.iterdir()}
    assert {name for name in found if not name.endswith(".dist-info")} == WHEELS | OWN


def test_httpx_and_what_it_needs_are_added_if_the_config_asks_for_it(with_httpx: Path) -> None:
    found = {path.name for path in with_httpx.iterdir()}
    wheels = {name for name in found if not name.endswith(".dist-info")}
    assert wheels == WHEELS | HTTPX_WHEELS | OWN
    code = (
        f"import sys; sys.path.insert(0, {str(with_httpx)!r}); import httpx2; httpx2.AsyncClient()"
    )
    subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], check=True)  # noqa: S603


def test_it_is_small(folder: Path) -> None:
    assert sum(path.stat().st_size for path in files(folder).values()) < LIMIT


def test_its_libraries_have_nothing_that_is_not_loaded(folder: Path) -> None:
    libraries = [path for name, path in files(folder).items() if name.endswith(".so")]
    assert [
        path.name for path in libraries if stripped(path.read_bytes()) != path.read_bytes()
    ] == []
    assert [path.name for path in libraries if b".symtab" in path.read_bytes()] == []


def test_the_libraries_load_without_what_was_removed(folder: Path, target: tuple[str, str]) -> None:
    """Those of them that this Python loads, too."""
    if MACHINES[target[0]] != platform.machine():
        pytest.skip("the libraries are for another architecture")
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import jsonschema_rs;"
        "assert not jsonschema_rs.is_valid({'type': 'string'}, 1)"
    )
    subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], check=True)  # noqa: S603


def test_a_file_that_is_no_library_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(b"a script")
    strip_file(path)
    assert path.read_bytes() == b"a script"


def test_it_contains_no_tests_and_no_headers_of_packages(folder: Path) -> None:
    parts = {part for name in files(folder) for part in Path(name).parts}
    assert not parts & {"bin", "tests", "cli", "local"}
    assert not [n for n in files(folder) if n.endswith((".pyx", ".pxd", ".c", ".h"))]


def test_every_module_has_unchecked_byte_code_of_the_functions_python(
    folder: Path, target: tuple[str, str]
) -> None:
    version = target[1]
    tag = f"cpython-{version.replace('.', '')}"
    found = files(folder)
    sources = [Path(name) for name in found if name.endswith(".py")]
    wanted = {str(p.parent / "__pycache__" / f"{p.stem}.{tag}.pyc") for p in sources}
    assert {name for name in found if name.endswith(".pyc")} == wanted
    heads = {found[name].read_bytes()[:8] for name in wanted}
    assert heads == {MAGIC[version].to_bytes(2, "little") + b"\r\n" + UNCHECKED_HASH}


def test_a_traceback_shows_the_path_in_the_function(folder: Path) -> None:
    (code,) = (folder / "fanout" / "gateway" / "__pycache__").glob("gateway.*.pyc")
    assert b"/var/task/fanout/gateway/gateway.py" in code.read_bytes()


def test_its_binaries_are_for_the_functions_architecture_and_python(
    folder: Path, target: tuple[str, str]
) -> None:
    architecture, python = target
    version = f"cpython-{python.replace('.', '')}-"
    binaries = [name for name in files(folder) if name.endswith(".so")]
    assert len(binaries) >= 4
    for name in binaries:
        assert MACHINES[architecture] in name or ".abi3." in name
        assert version in name or ".abi3." in name


def test_the_script_that_starts_the_function_is_executable(folder: Path) -> None:
    assert all(
        os.access(folder / f"functions/api/{name}.sh", os.X_OK) for name in ("run", "runtime")
    )
    assert (folder / "functions/api/app.py").is_file()


def test_it_contains_the_config_as_json(without_httpx: Path, with_httpx: Path) -> None:
    assert (without_httpx / "config.json").read_text() == '{"model_list": []}'
    general = json.loads((with_httpx / "config.json").read_text())["general_settings"]
    assert general["http_client"] == "httpx"


def test_two_builds_of_the_stack_are_equal_byte_for_byte(
    built: Path, config: str, tmp_path: Path
) -> None:
    build(config, tmp_path)
    first, second = files(built), files(tmp_path)
    assert first.keys() == second.keys()
    assert [n for n in first if first[n].read_bytes() != second[n].read_bytes()] == []
    assert [n for n in first if first[n].stat().st_mode != second[n].stat().st_mode] == []
