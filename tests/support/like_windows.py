"""
Runs `fanout`, or a piece of code, in a Python that lacks what Windows lacks.

`python -m tests.support.like_windows batch run …`, or with `-c CODE` and arguments. It is no
Windows: the file system, the sockets and the event loop are still this system's. But modules and
functions that Windows has not are missing, a file that is open cannot be renamed or deleted, locks
are those of `msvcrt`, and `sys.platform` is `win32`.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import getpass  # noqa: F401 -- what follows is loaded now, as it is on this system
import http.client  # noqa: F401
import multiprocessing.connection
import multiprocessing.popen_spawn_posix
import multiprocessing.synchronize  # noqa: F401
import os
import platform  # noqa: F401
import select
import shutil  # noqa: F401
import signal
import socket
import sqlite3  # noqa: F401
import ssl  # noqa: F401
import struct
import subprocess  # noqa: F401
import sys
import sysconfig
import tempfile
import time
import urllib.request  # noqa: F401
import zipfile  # noqa: F401
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

MODULES = frozenset(
    {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
    | {"uvloop"}
)
"""Modules that Windows has not; the last has no wheel for it."""

NAMES = {
    os: """
        O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC chown fchmod fchown fork forkpty
        getegid geteuid getgid getpgid getuid killpg lchown mkfifo posix_fallocate posix_spawn pread
        pwrite register_at_fork sched_getaffinity sendfile set_blocking setsid statvfs sysconf uname
    """,
    signal: "SIGALRM SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGXFSZ pause setitimer sigwait",
    select: "epoll poll",
    socket: "AF_UNIX SO_REUSEPORT",
    time: "CLOCK_BOOTTIME CLOCK_MONOTONIC clock_gettime tzset",
}
"""Of modules that Windows has, some of what is missing there."""

LOCK = "hhqqi4x"
"""Linux's `struct flock`: https://man7.org/linux/man-pages/man2/fcntl_locking.2.html."""


class NotThere:
    """Finds no module of `MODULES`."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Raise what Windows's Python raises."""
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def locking(number: int, mode: int, length: int) -> None:
    """`msvcrt.locking`, with the locks of Linux that belong to an open file."""
    start = os.lseek(number, 0, os.SEEK_CUR)
    may_write = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    kind = fcntl.F_WRLCK if may_write else fcntl.F_RDLCK
    assert mode == LK_NBLCK
    try:
        fcntl.fcntl(number, fcntl.F_OFD_SETLK, struct.pack(LOCK, kind, 0, start, length, 0))
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


LK_NBLCK = 2


def keeping_open_files(call: Callable[..., Any]) -> Callable[..., Any]:
    """`os.replace` or `os.unlink`, which raise an error for a file that this process has open."""

    @wraps(call)
    def checked(*paths: Any, **options: Any) -> Any:
        ours = [Path(path).resolve() for path in paths]
        if sys._getframe(1).f_globals["__name__"] != tempfile.__name__:
            for number in Path("/proc/self/fd").iterdir():
                with suppress(FileNotFoundError):  # the folder itself
                    if number.readlink() in ours:
                        raise PermissionError(errno.EACCES, "Access is denied", str(paths[0]))
        return call(*paths, **options)

    return checked


def by_path_only(path: Any, *args: Any, **options: Any) -> None:
    """`os.utime`."""
    if isinstance(path, int):
        raise TypeError("utime: path should be string, bytes or os.PathLike, not int")
    _utime(path, *args, **options)


_utime = os.utime


def not_implemented(*_: object) -> NoReturn:
    """A method of the event loop that Windows's loop lacks."""
    raise NotImplementedError


def become_windows() -> None:
    """Take away what Windows lacks."""
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, NotThere)
    msvcrt: Any = ModuleType("msvcrt")
    msvcrt.locking, msvcrt.LK_NBLCK = locking, LK_NBLCK
    sys.modules["msvcrt"] = msvcrt
    os.replace = keeping_open_files(os.replace)
    os.rename = keeping_open_files(os.rename)
    os.unlink = keeping_open_files(os.unlink)
    os.remove = keeping_open_files(os.remove)
    os.supports_fd.discard(os.utime)
    os.utime = by_path_only
    sysconfig.get_config_vars()
    socket.socketpair = partial(socket.socketpair, socket.AF_UNIX)
    for module, names in NAMES.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    vars(socket)["SO_EXCLUSIVEADDRUSE"] = socket.SO_REUSEADDR
    for method in ("add_signal_handler", "remove_signal_handler"):
        setattr(asyncio.SelectorEventLoop, method, not_implemented)
    sys.platform = "win32"


if __name__ == "__main__":
    become_windows()
    _, *words = sys.argv
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(compile(words[1], "<code>", "exec"), {"__name__": "__main__"})  # noqa: S102
    else:
        sys.argv = [str(Path(sys.executable).with_name("fanout")), *words]
        from fanout.cli.main import main

        sys.exit(main())
