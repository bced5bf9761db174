"""An attached process ends with its parent, however the parent ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.patience import PATIENCE

CHILD = """
import os, sys, time
from fanout.local.parent_process import stop_with_parent
stop_with_parent(int(sys.argv[1]), lambda: os._exit(0), interval=0.01)
print("attached", flush=True)
time.sleep(3600)
"""

PARENT = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
time.sleep(3600)
"""


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_the_child_of_a_parent_that_was_killed_ends(how: str) -> None:
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:  # noqa: S603
        assert parent.stdout is not None
        assert parent.stdout.readline() == "attached\n"
        getattr(parent, how)()
        assert parent.stdout.read() == ""  # ends only once the child, who has it open too, is gone


def test_one_whose_parent_is_gone_already_ends_at_once() -> None:
    done = subprocess.run(  # noqa: S603 -- our own words
        [sys.executable, "-c", CHILD, "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0
