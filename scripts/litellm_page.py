"""Generates the tables of docs/litellm.md from the tables that the config and the requests use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from fanout.config.litellm.keys import Key, keys_of, sections
from fanout.library.options import ChatOptions
from fanout.schema.litellm_arguments import CONFIG_ONLY, IN_FANOUT, REJECTED

PAGE = Path(__file__).parent.parent / "docs" / "litellm.md"

HEADING = "## Every key and argument\n"

INTRO = """
These tables are generated from those that `fanout check` and the functions use. *Rejected* keys are
left out on purpose, *missing* ones may come. A key is ignored if its value is null, false, empty or
LiteLLM's default, which is in parentheses. Sources: LiteLLM's reference pages ("All settings",
"Routing", "Input params") and its types, as of November 2026, and release 1.110.2. Attributes of
its module that only hold data, such as the lists of models, are left out.
"""

TITLES = {"": "Top-level keys"}

NOTES = {
    "litellm_params": "Parameters of chat completions, and keys that neither LiteLLM nor Fanout "
    "knows, are sent to the provider with each request.",
    "model_info": "All other keys are your own notes. With a `mode` other than chat, the entry is "
    "rejected.",
}

SHARED = frozenset({"model", "messages", "stream", "response_format", "extra_body"})


def litellm_page() -> str:
    """The page: what is written by hand, and the tables after `HEADING`."""
    head, _, _ = PAGE.read_text().partition(HEADING)
    return "\n".join([head + HEADING.rstrip(), *_tables()])


def _tables() -> Iterator[str]:
    yield INTRO
    for section in sections():
        yield f"### {TITLES.get(section, f'`{section}`')}\n"
        if section in NOTES:
            yield f"{NOTES[section]}\n"
        yield from _section(list(keys_of(section)))
        yield ""
    yield "### Arguments of the functions, and fields of a request's body\n"
    yield "| arguments | Python | HTTP |\n|---|---|---|"
    options = {*ChatOptions.__annotations__, *SHARED}
    yield f"| {_names(options - CONFIG_ONLY - IN_FANOUT)} | supported | supported |"
    yield f"| {_names(IN_FANOUT)} | supported | fields of `fanout` |"
    yield f"| {_names(CONFIG_ONLY & options)} | supported | rejected: only the config sets it |"
    yield f"| {_names({'headers'})} | rejected: write `extra_headers` | rejected |"
    for why in dict.fromkeys(REJECTED.values()):
        names = {name for name, reason in REJECTED.items() if reason == why}
        yield f"| {_names(names)} | rejected: {why} | rejected |"


def _section(keys: list[Key]) -> Iterator[str]:
    yield "| keys | status |\n|---|---|"
    order = ("supported", "rejected", "missing")
    groups = sorted({(order.index(key.status), key.why) for key in keys})
    for status, why in groups:
        found = [key for key in keys if (order.index(key.status), key.why) == (status, why)]
        names = ", ".join(_key(key) for key in found)
        yield f"| {names} | {order[status]}{f': {why}' if why else ''} |"


def _key(key: Key) -> str:
    if key.default is None:
        return f"`{key.name}`"
    value = str(key.default).lower() if isinstance(key.default, bool) else key.default
    shown = f"{value:g}" if isinstance(value, float) else value
    return f"`{key.name}` ({shown})"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
