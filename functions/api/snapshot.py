"""
Starts from a snapshot (SnapStart): the modules are loaded in it, and nothing else has happened.

AWS starts many environments from one snapshot, so what may not be the same in all of them comes
after it: keys, connections, credentials and random numbers. AWS documents the Runtime API's paths
for that only in its own clients:
https://github.com/aws/aws-lambda-python-runtime-interface-client/pull/176 (2026-11).
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from .runtime_api import RuntimeAPI

TYPE_VARIABLE, SNAPSHOT = "AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start"


async def wait_for_restore(api: RuntimeAPI, env: Mapping[str, str]) -> bool:
    """
    If AWS takes a snapshot, let it take that now, and return in an environment that is used.

    Return whether it took one. Raises `RuntimeAPIError`.
    """
    if env.get(TYPE_VARIABLE) != SNAPSHOT:
        return False
    await api.wait_for_restore()
    random.seed()
    return True
