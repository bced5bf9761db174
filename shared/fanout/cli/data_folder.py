"""Checks the folder of jobs, files and responses for `fanout doctor`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from ..bulk.local.lazy_service import data_home

MIN_FREE = 100_000_000
"""Bytes that should be free for the responses of jobs."""

UNIT = 1000
"""Bytes of a kilobyte, kilobytes of a megabyte, and so on."""


def disk_free(path: Path) -> int:
    """The bytes that are free on the disk of a folder."""
    return shutil.disk_usage(path).free


def check_data_folder(
    env: Mapping[str, str], free_bytes: Callable[[Path], int] = disk_free
) -> tuple[str, str]:
    """
    Whether jobs can be stored: `ok`, `absent` or `wrong`, and the folder with its size and room.

    The folder is made with the first job.
    """
    home = data_home(env)
    place = home
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return "wrong", f"`{place}` is no folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return "wrong", f"`{place}` is not writable for this user"
    free = free_bytes(place)
    room = f"{_shown(free)} free"
    if free < MIN_FREE:
        return "wrong", f"`{home}`: only {room}"
    if place != home:
        return "absent", f"`{home}` is made with the first job; {room}"
    return "ok", f"`{home}`: {_shown(_size(home))} used, {room}"


def _size(folder: Path) -> int:
    """The bytes of all files in a folder; what cannot be read counts nothing."""
    size = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                size += Path(root, name).lstat().st_size
            except OSError:
                continue
    return size


def _shown(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < UNIT:
            return f"{size:.0f} {unit}"
        size /= UNIT
    return f"{size:.1f} GB"
