"""The wheel and the source distribution: their content, and the wheel in a fresh environment."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import write_config
from tests.cli.test_serve import HI, port_of
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.processes import started
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINK = re.compile(r"\[[^\]]*\]\(([^)]*)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def build(folder: Path, output: Path, target: str) -> Path:
    """Build the `target` of the project in a folder, with what is installed here."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(output)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603 -- our own
    (built,) = output.iterdir()
    return built


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("sdist"), "sdist")


@pytest.fixture(scope="module")
def source(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's folder as it is in the source distribution."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (project,) = folder.iterdir()
    return project


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `make dist` builds, which is that of the source distribution."""
    return build(source, tmp_path_factory.mktemp("wheel"), "wheel")


def test_the_same_source_gives_the_same_bytes(
    sdist: Path, source: Path, wheel: Path, tmp_path: Path
) -> None:
    for path in source.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    targets = {"clone": (ROOT, "wheel", wheel), "source": (source, "sdist", sdist)}
    for name, (folder, target, first) in targets.items():
        (tmp_path / name).mkdir()
        assert build(folder, tmp_path / name, target).read_bytes() == first.read_bytes(), name


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    package = ROOT / "shared" / "fanout"
    wanted = {
        f"fanout/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == wanted


def test_the_wheel_has_the_licenses_of_what_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        licenses = [name for name in names if ".dist-info/licenses/" in name]
        texts = [archive.read(name).decode() for name in licenses]
    assert "fanout/telemetry/price_lists/LICENSE" in names
    assert [("Apache License" in text, "genai-prices" in text) for text in texts] == [
        (True, False),
        (False, True),
    ]
    assert PROJECT["license"] == "Apache-2.0 AND MIT"


def test_the_source_has_what_its_readme_names(source: Path) -> None:
    named = [link.partition("#")[0] for link in LINK.findall((source / "README.md").read_text())]
    assert named
    assert [name for name in named if "://" not in name and not (source / name).exists()] == []
    assert (source / "requirements" / "build.txt").is_file()


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_the_description_has_no_link_that_leads_nowhere(metadata: Message) -> None:
    text = FENCE.sub("", str(metadata.get_payload()))
    assert "Python functions (`docs/python.md`)" in text
    assert [link for link in LINK.findall(text) if "://" not in link] == []


def test_the_metadata_says_what_an_index_shows(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["Author"]
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)} <= {
        *(metadata.get_all("Classifier") or ())
    }
    assert set(metadata.get_all("Provides-Extra") or ()) == set(PROJECT["optional-dependencies"])


def test_the_readme_begins_with_how_to_install_it_and_lists_the_extras() -> None:
    text = (ROOT / "README.md").read_text()
    heading, _, section = text.split("\n## ")[1].partition("\n")
    assert heading == "Install"
    for command in ("uv tool install", "pipx install", "pip install"):
        assert f"\n{command} dist/*.whl " in section
    assert [n for n in PROJECT["optional-dependencies"] if f"`{n}`" not in section] == []


# ---- the wheel in a fresh environment ----


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The `bin` folder of an environment with the wheel.

    The packages that it needs are those of this environment, so nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run(  # noqa: S603 -- our own words
        [sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True
    )
    python = folder / "bin" / "python"
    uv = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")
    assert uv is not None
    subprocess.run(  # noqa: S603 -- our own words
        [uv, "pip", "install", "-q", "--offline", "--no-deps", "--python", python, wheel],
        check=True,
    )
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "here.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin"


@pytest.fixture
def env() -> Mapping[str, str]:
    """The environment of a user without a clone."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def run(
    command: list[str | Path], env: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- our own words
        command, capture_output=True, text=True, check=False, cwd=folder, env=env, timeout=PATIENCE
    )


def test_the_command_is_there_and_names_the_version(
    installed: Path, env: Mapping[str, str], tmp_path: Path
) -> None:
    done = run([installed / "fanout", "--version"], env, tmp_path)
    assert (done.returncode, done.stdout) == (0, f"fanout {PROJECT['version']}\n")
    done = run([installed / "python", "-c", "import fanout; print(fanout.__file__)"], env, tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(installed.parent)


def test_it_serves_a_config_and_the_page(
    installed: Path, env: Mapping[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", answers("Hello"))
    config = write_config(tmp_path, {"model_list": [entry(upstream, "a")]})
    command = [str(installed / "fanout"), "serve", "--config", str(config), "--port", "0"]
    with started(command, env=env, cwd=tmp_path) as process:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(process), timeout=PATIENCE)
        connection.request("POST", "/v1/chat/completions", HI)
        body = json.load(connection.getresponse())
        connection.request("GET", "/")
        page = connection.getresponse()
        assert (page.status, b"<title>" in page.read()) == (200, True)
        connection.close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert body["choices"][0]["message"]["content"] == "Hello"
    assert process.returncode == 0


def test_the_python_functions_work(
    installed: Path, env: Mapping[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", answers("Hello"))
    code = (
        "import fanout, sys; hi = [{'role': 'user', 'content': 'Hi'}];"
        "both = fanout.batch_completion('openai/a', [hi, hi], api_base=sys.argv[1], api_key='k');"
        "print(*(one.choices[0].message.content for one in both))"
    )
    done = run([installed / "python", "-c", code, f"{upstream.url}/v1"], env, tmp_path)
    assert (done.stdout, done.returncode) == ("Hello Hello\n", 0), done.stderr
