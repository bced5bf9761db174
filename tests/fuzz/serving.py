"""Runs `fanout serve` as a process, with a key, for clients that send raw bytes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.patience import PATIENCE

CONFIG = {
    "model_list": [{"model_name": "a", "litellm_params": {"model": "openai/a", "api_key": "k"}}],
    "general_settings": {"master_key": "sk-master"},
}


@contextmanager
def gateway_process() -> Iterator[tuple[int, int]]:
    """Its port and its process id. Its log must stay without tracebacks."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(json.dumps(CONFIG))
        log = Path(folder, "log")
        command = [sys.executable, "-m", "fanout", "serve", "--port", "0", "--config", str(config)]
        env = {**os.environ, "FANOUT_HOME": folder}
        with (
            log.open("w") as err,
            subprocess.Popen(command, stderr=err, env=env) as process,  # noqa: S603
        ):
            try:
                yield _port(log, process), process.pid
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=PATIENCE)
        lines = log.read_text().splitlines()[1:]
        assert [line for line in lines if not line.startswith('{"event":"request"')] == []


def _port(log: Path, process: subprocess.Popen[bytes]) -> int:
    while process.poll() is None:
        if found := re.search(r"serving http://127\.0\.0\.1:(\d+)/", log.read_text()):
            return int(found[1])
    raise AssertionError(log.read_text())
