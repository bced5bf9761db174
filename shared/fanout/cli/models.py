"""`fanout models`: lists the model names that can be used now."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_config, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "models",
        help="list the model names that can be used now",
        description="List the model names that can be used now: those of the config, or of the "
        "running local model, and without a config every provider whose key is set.",
        formatter_class=Help,
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line per model name."""
    from ..providers import registry
    from ..telemetry.known_names import is_for_chat
    from .config_choice import select_config
    from .config_summary import summarize
    from .printing import show, show_json
    from .table import columns

    selected = select_config(arguments.config)
    groups: dict[str, dict[str, object]] = {}
    for row in summarize(selected.catalog):
        empty = {"name": row.name, "usable": False, "chat": False, "asks": []}
        known = groups.setdefault(row.name, empty)
        known["usable"] = known["usable"] or not row.missing
        known["chat"] = is_for_chat(selected.catalog, row.name)
        known["asks"] = [*_asks(known), f"{row.provider}/{row.model}"]
    prefixes = registry.with_key(selected.settings.env) if selected.catalog.is_open else {}
    if arguments.json:
        listed = [{"provider": name, "key": key} for name, key in prefixes.items()]
        show_json({"models": list(groups.values()), "prefixes": listed})
        return 0
    rows = [(name, ", ".join(_asks(known)), _remark(known)) for name, known in groups.items()]
    rows += [(f"{name}/…", f"any model of {name}", key) for name, key in prefixes.items()]
    show(columns(rows, has_header=False) if rows else NOTHING)
    return 0


NOTHING = """no models: there is no config, no provider's key in the environment, and no local model
running. Use --config FILE, set a key such as OPENAI_API_KEY, or run `fanout local serve`."""


def _remark(known: dict[str, object]) -> str:
    if not known["chat"]:
        return "not for chat"
    return "" if known["usable"] else "its key is missing"


def _asks(known: dict[str, object]) -> list[str]:
    asks = known["asks"]
    return asks if isinstance(asks, list) else []
