"""The times to the first content by which hedges of the Python functions wait."""

from __future__ import annotations

from functools import cache
from time import time

from ..config.deployment import Balancing
from ..routing.first_token_times import FirstTokenTimes


@cache
def times_of_process() -> FirstTokenTimes:
    """The times of all calls of this process that ask for `stagger="p95"`, and their budget."""
    return FirstTokenTimes(Balancing().hedge_budget, time)
