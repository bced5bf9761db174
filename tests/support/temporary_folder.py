"""Where the tests' files are: in memory if that is possible, because commits wait for a disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 -- of Linux; a new folder is made in it
ROOM = 2 << 30
"""Bytes that must be free there: the bundles of the functions have the most, some 300 MB."""


def make_temporary_folder() -> Path:
    """A new folder, in which files may be executed."""
    folder = MEMORY if _is_usable(MEMORY) else None
    return Path(tempfile.mkdtemp(prefix="fanout-tests-", dir=folder))


def _is_usable(folder: Path) -> bool:
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return False
    is_executable = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return is_executable and shutil.disk_usage(folder).free > ROOM
