"""
Attacks, and faults of other kinds than a provider's, on `fanout` as a process.

Each module has a `measure` function, which yields what was done and the figures that must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from . import connections, job_commands, keys, providers, shutdown, storage, web_pages
from .attack import Attack

Measure: TypeAlias = Callable[[Path], Iterator[Attack]]

SECTIONS: Mapping[str, Measure] = {
    "Connections without a key": connections.measure,
    "Web pages, and keys that are none": web_pages.measure,
    "Clients with a key": keys.measure,
    "Attacks by providers": providers.measure,
    "Shutdown": shutdown.measure,
    "The data folder": storage.measure,
    "Commands for jobs": job_commands.measure,
}
"""What makes each section of the page."""
