"""`make smoke`, which a person runs on a new stack of their account."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from .deployed_stack import ROOT, DeployedStack
from .scripted_provider import ScriptedProvider

NUMBER = re.compile(r"^ ?\d+ (ok|DIFFERS) +(.+?): (.+)$", re.MULTILINE)
ONLY_ON_AWS = {"a body of 11 MB"}
"""Checks whose result is API Gateway's own, which an emulator does not have."""


def test_every_check_of_the_smoke_test_passes(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "scripts.aws.smoke", own.name, "--model", "steady"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "shared")},
        capture_output=True,
        text=True,
        check=False,
    )
    results = {name: (result, seen) for result, name, seen in NUMBER.findall(done.stdout)}
    assert len(results) == 11, done.stdout + done.stderr
    differ = {name: seen for name, (result, seen) in results.items() if result != "ok"}
    if os.environ.get("AWS_ENDPOINT_URL"):
        differ = {name: seen for name, seen in differ.items() if name not in ONLY_ON_AWS}
    assert differ == {}
    assert len(provider.calls) == 5  # a plain request, a stream, and three lines of a job
