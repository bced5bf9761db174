"""
Writes files completely or not at all.

A nearly full disk takes fewer bytes than it is given, and says so only in what `write` returns:
https://man7.org/linux/man-pages/man2/write.2.html (2026-05-17). So all writes go through
`write_all`.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from ..errors import StorageError, StorageFull

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No space, a user's quota, a limit for the size of a file."""

NO_READER = "no program reads from this pipe; start that one first"

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
MOVES_OPEN_FILES = HAS_RIGHTS = sys.platform != "win32"
"""
Whether an open file can be renamed and deleted, and whether a mode keeps other users out. On
Windows a file has the rights of its folder, and a user's folders are closed to others.
"""

DRAFT_PREFIX = ".draft-"

DIRECTLY = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""How a pipe or a device is opened: without waiting for its reader. Windows has no such flags."""


def storage_error(error: OSError, path: str | os.PathLike[str]) -> StorageError:
    """What a failed write to `path` is for the user."""
    kind = StorageFull if error.errno in FULL else StorageError
    return kind(os.fspath(path), error.strerror or type(error).__name__)


@contextmanager
def storage_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise `StorageError` for an `OSError` inside the block."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def write_all(file: BinaryIO, data: bytes | memoryview) -> None:
    """Write all of the data to an unbuffered file, or raise `OSError`."""
    left = memoryview(data)
    while left:
        written = file.write(left)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[written:]


def make_private_folder(path: Path) -> None:
    """Create the folder and those above it, which only this user may enter."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


class Draft:
    """
    A new file under a temporary name, which `commit` gives its own; without, nothing changes.

    A link is followed. What is no regular file, such as a pipe or a device, is written to directly.
    `mode` is that of a file that does not exist yet; the user's umask still applies.
    """

    def __init__(self, path: Path, *, mode: int = 0o666) -> None:
        self._shown = path
        with storage_errors(path):
            found = _status(path)
            self._temporary: Path | None = None
            if found is None or stat.S_ISREG(found.st_mode):
                self.path = path.resolve() if path.is_symlink() else path
                number = self._create(mode if found is None else stat.S_IMODE(found.st_mode))
                if found is not None and HAS_RIGHTS:
                    with suppress(OSError):  # another user's
                        os.fchmod(number, stat.S_IMODE(found.st_mode))
            else:  # the target of /dev/stdout may have no name of its own
                self.path = path
                number = _open_directly(path)
            self.file: BinaryIO = os.fdopen(number, "wb", buffering=0)

    def _create(self, mode: int) -> int:
        self._temporary = self.path.with_name(f"{DRAFT_PREFIX}{secrets.token_hex(8)}")
        return os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.discard()

    def write(self, data: bytes) -> None:
        """Write all of the data."""
        with storage_errors(self._shown):
            write_all(self.file, data)

    def commit(self) -> None:
        """Sync the file to the disk, and give it its name."""
        with storage_errors(self._shown):
            if self._temporary is None:
                self.file.close()
                return
            os.fsync(self.file.fileno())
            self.file.close()
            self._temporary.replace(self.path)
            self._temporary = None
            sync_folder(self.path.parent)

    def discard(self) -> None:
        """Close the file, and delete it unless it is committed."""
        with suppress(OSError):
            self.file.close()
        if self._temporary is not None:
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)


def _open_directly(path: Path) -> int:
    """Open what is no regular file, without waiting for a reader of a pipe."""
    try:
        number = os.open(path, os.O_WRONLY | DIRECTLY)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, NO_READER) from None
        raise
    if DIRECTLY:
        os.set_blocking(number, True)
    return number


def replace_file(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write the file, or leave the old one as it is; raises `StorageError`."""
    with Draft(path, mode=mode) as draft:
        draft.write(data)
        draft.commit()


def check_room(path: Path, size: int) -> None:
    """Raise `OSError` unless a file of so many bytes fits beside the others; it is deleted."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT, PRIVATE_FILE)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(number, 0, size)
    finally:
        os.close(number)
        path.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make the names in the folder survive a crash of the machine, where the system can."""
    with suppress(OSError):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def make_private(folder: Path) -> None:
    """
    Let no other user into the folder, and take from them the rights to what is in it.

    A folder that is private already is not read. What is another user's stays as it is.
    """
    if not HAS_RIGHTS:
        return
    with suppress(OSError):
        if not _withdraw(folder, PRIVATE_FOLDER):
            return
        for found in os.scandir(folder):
            path = Path(found.path)
            if found.is_dir(follow_symlinks=False):
                make_private(path)
            elif found.is_file(follow_symlinks=False):
                _withdraw(path, PRIVATE_FILE)


def _withdraw(path: Path, mode: int) -> bool:
    """Take other users' rights; returns whether they had any."""
    if stat.S_IMODE(path.stat().st_mode) & ~PRIVATE_FOLDER == 0:
        return False
    path.chmod(mode)
    return True
