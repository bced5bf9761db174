"""Processes whose files may not grow over a size: as on a full disk, writes are cut or fail."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .patience import PATIENCE
from .processes import started

LAUNCH = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.dont_write_bytecode = True
runpy.run_module("fanout", run_name="__main__", alter_sys=True)
"""


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """
    Within the block, no file of this process grows over `limit` bytes.

    Byte code is not written, because Python does not notice that it is cut.
    """
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
        sys.dont_write_bytecode = writes_bytecode


@contextmanager
def limited(limit: int, *words: object, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """`fanout` with these arguments; each of its files has at most `limit` bytes."""
    command = [sys.executable, "-c", LAUNCH, str(limit), *map(str, words)]
    with started(command, **options) as process:
        yield process


def run_limited(limit: int, *words: object, **options: Any) -> tuple[int, str, str]:
    """The exit code and the output of `limited`, at its end."""
    with limited(limit, *words, **options) as process:
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err
