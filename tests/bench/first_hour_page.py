"""The page of `make first-hour`."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .report import number

if TYPE_CHECKING:
    from .first_hour_tools import Result

NONE = "-"

HEAD = """\
# The first hour

This page shows what a newcomer types and how long it takes: from nothing to a first response, from
a CSV to a CSV, and from a LiteLLM file to a served request. For example, `make run` in a fresh
clone takes {run} to the first response of a real model, without its downloads. LiteLLM, `llm` and
`batchllm` do the same beside it. `make first-hour` measures it again and writes this page.

Measured on {date}, on {cpus} shared cores of {machine}, with Python {python}:
{versions}.

* {repeats}
* The provider is a stub on this machine, so the times are the tools' own. *Ratio* is to Fanout.
* Packages come from a cache: an installation is what remains without its downloads.
"""

ONE = """
## Nothing to a first response

*First response* is from the start of the last server or command to the response. Fanout's wheel,
which is on no package index yet, takes {build} to build in a clone.
"""

TWO = """
## A CSV to a CSV

1,000 rows with an id, a text and a number; the provider takes 50 ms for each. A result is right if
each row has its answer, in the order of the input and with all its columns.
"""

THREE = """
## A LiteLLM file to a served request

A config as LiteLLM's documentation has it: two models, `litellm_settings`, `router_settings` and a
`master_key`. The seconds are those of all commands, to the response to a request. `fanout init
--from` lists what it leaves out.
"""


def page(
    now: Sequence[Result],
    rows: Sequence[Result],
    files: Sequence[Result],
    build: float,
    versions: Mapping[str, str],
    repeats: int,
) -> str:
    """The whole page."""
    head = HEAD.format(
        run=number(now[0].seconds or 0, "s"),
        date=time.strftime("%d %B %Y", time.gmtime()).lstrip("0"),
        versions=", ".join(f"{name} {version}" for name, version in versions.items()),
        cpus=os.cpu_count(),
        machine=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        repeats="Each time is of one run, while the machine had other work."
        if repeats == 1
        else f"Each time is the median of {repeats} runs; installations, `make run`, the plain "
        "`batchllm` and the loop run once.",
    )
    parts = [
        head,
        ONE.format(build=number(build, "s")),
        _table(now, with_install=True, base=1),
        TWO,
        _table(rows),
        THREE,
        _table(files),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _table(results: Sequence[Result], *, with_install: bool = False, base: int = 0) -> str:
    """A row for each tool; ratios are to the row `base`."""
    header = ["tool", "commands", "files to write"]
    header += ["installation", "first response"] if with_install else ["seconds"]
    header += ["ratio", "what fails, and more"]
    lines = [header, ["---"] * len(header)]
    lines += [_row(one, results[base].seconds, with_install=with_install) for one in results]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _row(result: Result, base: float | None, *, with_install: bool) -> list[str]:
    typed = "; ".join(one if "`" in one else f"`{one}`" for one in result.commands) or NONE
    times = [_seconds(result.install)] if with_install else []
    ratio = NONE if result.seconds is None or not base else number(result.seconds / base)
    count = f"{len(result.commands)}: " if result.commands else ""
    return [
        result.tool,
        f"{count}{typed}",
        result.files,
        *times,
        _seconds(result.seconds),
        ratio if result.is_comparable else NONE,
        result.note or "nothing",
    ]


def _seconds(value: float | None) -> str:
    return NONE if value is None else number(value, "s")
