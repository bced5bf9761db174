"""
Runs the API function under AWS's own runtime code, the Runtime Interface Emulator.

https://github.com/aws/aws-lambda-runtime-interface-emulator (2026-11). The script that builds and
starts it is `../shared/emulator/rie`, or the one that the variable RIE names.
"""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from sysconfig import get_path
from typing import NamedTuple

from tests.support.clean_environment import USER_ENVIRONMENT

ROOT = Path(__file__).parents[2]
SCRIPT = Path(USER_ENVIRONMENT.get("RIE") or ROOT.parent / "shared/emulator/rie")
INVOKE = "/2015-03-31/functions/function/invocations"
PATIENCE = 300.0
"""Seconds for the first start, which may compile the emulator."""

RUNTIME_API_OFFSET = 1000
"""The Runtime API's port is this much above the emulator's."""

DELIMITER = b"\0" * 8
PACKAGES = Path(get_path("purelib"))

OPEN_TO_ALL = Path("/var/tmp")  # noqa: S108 -- a new folder is made in it
"""The tests' own folder is closed to the other user, as whom the emulator runs the function."""


class Result(NamedTuple):
    """What the emulator returns for an invocation."""

    status: int
    raw: bytes

    @property
    def is_rejected(self) -> bool:
        """Whether Lambda would send the invocation to another environment."""
        return b"Runtime.Unavailable" in self.raw

    @property
    def prelude(self) -> bytes:
        return self.raw.partition(DELIMITER)[0]

    @property
    def body(self) -> bytes:
        return self.raw.partition(DELIMITER)[2]


class Emulator:
    """The emulator on a port. It responds when a streamed response is complete."""

    def __init__(self, port: int, process: int) -> None:
        self._port = port
        self._process = process

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 at which it takes invocations."""
        return self._port

    def functions(self) -> list[int]:
        """The processes of the function."""
        return [pid for pid in session(self._process) if b"functions.api" in _command(pid)]

    def invoke(self, event: bytes) -> Result:
        """
        Invoke the function. Classic Lambda serves invocations one at a time.

        One for which no task of the function has asked is rejected; see `Result.is_rejected`.
        """
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as client:
            client.request("POST", INVOKE, event)
            response = client.getresponse()
            return Result(response.status, response.read())


def is_available() -> bool:
    """Whether the emulator can be built and started here."""
    return SCRIPT.is_file() and bool(shutil.which("go", path=USER_ENVIRONMENT.get("PATH")))


def can_change_user() -> bool:
    """Whether the emulator can run the function as another user, as it does for many at once."""
    return os.geteuid() == 0 and bool(shutil.which("unshare"))


@contextmanager
def emulating(
    command: str, variables: Mapping[str, str], *, timeout: int = 60
) -> Iterator[Emulator]:
    """
    Run a shell command as the function, with a time limit in seconds.

    The variable PORT is a free port, for a command that needs one. The function starts with the
    first invocation. All processes are killed after the block.
    """
    port, app_port = free_ports()
    with tempfile.TemporaryDirectory() as name:
        _write_start(Path(name), command, {**variables, "PORT": str(app_port)})
        with _running([SCRIPT, name, str(port)], port, timeout) as emulator:
            yield emulator


@contextmanager
def emulating_managed_instances(
    variables: Mapping[str, str],
    config: str,
    *,
    concurrency: int,
    timeout: int = 60,
    module: str | None = None,
    packages: Path = PACKAGES,
) -> Iterator[Emulator]:
    """
    Run the API function as on Lambda Managed Instances, with the text of its config.

    With a `module` of this project, run that instead. Its Python packages are those of a folder.
    The emulator runs it as another user, who may not read the folders of this one: what the
    function needs is mounted into a folder of its own, which only its processes see.
    """
    port, _ = free_ports()
    with tempfile.TemporaryDirectory(dir=OPEN_TO_ALL) as name:
        folder = Path(name)
        folder.chmod(0o755)
        mounts = {"python": sys.base_prefix, "packages": packages, "project": ROOT}
        for mount in mounts:
            (folder / mount).mkdir()
        (folder / "config.json").write_text(config)
        task = folder / "task"
        task.mkdir()
        project = folder / "project"
        python = f"{folder}/python/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
        own = {
            "FANOUT_CONFIG": f"{folder}/config.json",
            "LAMBDA_TASK_ROOT": str(project),
            "LD_LIBRARY_PATH": f"{folder}/python/lib",
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": f"{folder}/packages:{project}/shared:{project}",
        }
        words = (
            [python, "-m", module] if module else [f"{project}/functions/api/runtime.sh", python]
        )
        command = f"exec {shlex.join(words)}"
        _write_start(task, command, {**variables, **own})
        mounting = [
            shlex.join(["mount", "--bind", str(v), f"{folder}/{k}"]) for k, v in mounts.items()
        ]
        script = " && ".join([*mounting, 'exec "$@"'])
        start = ["unshare", "--mount", "sh", "-c", script, "sh"]
        with _running(
            [*start, SCRIPT, str(task), str(port), str(concurrency)], port, timeout
        ) as emulator:
            yield emulator


def _write_start(folder: Path, command: str, variables: Mapping[str, str]) -> None:
    """Write the script that the emulator starts."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    start = folder / "bootstrap"
    start.write_text("\n".join(["#!/bin/sh", *exports, command, ""]))
    start.chmod(0o755)


@contextmanager
def _running(command: Sequence[str | Path], port: int, timeout: int) -> Iterator[Emulator]:
    """Run the emulator by a command; all its processes are killed after the block."""
    with tempfile.TemporaryFile() as log:
        env = {**USER_ENVIRONMENT, "RIE_TIMEOUT": str(timeout)}
        process = subprocess.Popen(  # noqa: S603 -- our own words
            command, env=env, stdout=log, stderr=log, start_new_session=True
        )
        try:
            until = time.monotonic() + PATIENCE
            while not accepts(port):
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise RuntimeError(f"no emulator:\n{log.read().decode()[-2000:]}")
                time.sleep(0.02)
            yield Emulator(port, process.pid)
        finally:
            kill_session(process.pid)
            process.wait()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


def session(leader: int) -> list[int]:
    """The processes of a session, which are those that its leader has started."""
    listed = subprocess.run(  # noqa: S603
        ["/usr/bin/env", "ps", "-o", "pid=", "-s", str(leader)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in listed.stdout.split()]


def kill_session(leader: int) -> None:
    """Kill the processes of a session."""
    for pid in [leader, *session(leader)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def free_ports() -> tuple[int, int]:
    """The emulator's port, which is free together with the Runtime API's, and one for the app."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one, suppress(OSError, OverflowError):
            port: int = one.getsockname()[1]
            with (
                socket.create_server(("127.0.0.1", port + RUNTIME_API_OFFSET)),
                socket.create_server(("127.0.0.1", 0)) as app,
            ):
                return port, app.getsockname()[1]


def accepts(port: int) -> bool:
    """Whether something listens on the port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
