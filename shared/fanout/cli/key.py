"""`fanout key`: makes and changes the virtual keys of this machine, and shows their spend."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .no_value import TEXT, add_budget, add_limits, model_names
from .shared_arguments import Help, add_config, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    Actions = _SubParsersAction[argparse.ArgumentParser]

TYPES = ("llm_api", "management", "read_only", "info")

NAMED = "its alias, its hash (`token`), or the key itself"

CHANGES = {
    "block": "reject the key from its next request on",
    "unblock": "accept the key again",
    "delete": "delete the key; its spend is kept",
}


def add(commands: Actions) -> None:
    """Add the command and its actions."""
    parser = commands.add_parser(
        "key",
        help="make virtual keys with budgets, and see what they spend",
        description="Make, change and list the virtual keys of `fanout serve` on this machine, and "
        "show what they spend. The gateway may run meanwhile. docs/keys.md explains budgets.",
        formatter_class=Help,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    _add_fields(_action(actions, "create", "create a key and print it once; `none` means no limit"))
    _action(actions, "list", "list all keys")
    _named(_action(actions, "info", "show a key's limits and spend"))
    update = _action(actions, "update", "change the given fields; `none` clears one")
    _named(update)
    _add_fields(update)
    for name, about in CHANGES.items():
        _named(_action(actions, name, about))
    again = _action(actions, "regenerate", "make a new key with the same budget")
    _named(again)
    again.add_argument(
        "--overlap", metavar="TIME", help="how long the old key is still valid, such as 24h"
    )
    reset = _action(actions, "reset-spend", "set what the key has spent in this window")
    _named(reset)
    reset.add_argument("--to", type=float, default=0.0, metavar="USD", help="(default: 0)")
    _add_spend(_action(actions, "spend", "add up what keys have spent"))
    _add_period(_action(actions, "audit", "list who has changed keys, teams, users and budgets"))
    load = _action(actions, "import", "take over LiteLLM's keys; no client changes its key")
    load.add_argument(
        "source",
        metavar="FILE",
        help="LiteLLM_VerificationToken as CSV with a header, as psql's \\copy writes it; or the "
        "postgresql:// address of LiteLLM's database, whose budgets, teams and users come along",
    )


def _action(actions: Actions, name: str, about: str) -> argparse.ArgumentParser:
    text = f"{about[:1].upper()}{about[1:]}."
    parser = actions.add_parser(name, help=about, description=text, formatter_class=Help)
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help=NAMED)


def _add_fields(parser: argparse.ArgumentParser) -> None:
    """`none` clears a field, as `update` says."""
    parser.add_argument("--alias", type=TEXT, help="a unique name")
    parser.add_argument(
        "--models",
        type=model_names,
        metavar="NAMES",
        help="the models it may use, with commas; all-proxy-models for all",
    )
    add_budget(parser)
    parser.add_argument(
        "--budget-id", type=TEXT, metavar="ID", help="the named budget whose limits it has"
    )
    add_limits(parser)
    parser.add_argument(
        "--expires", type=TEXT, metavar="TIME", help="how long it is valid, such as 30d"
    )
    parser.add_argument(
        "--tag", type=TEXT, action="append", help="a tag of its spend; repeat it for several"
    )
    parser.add_argument("--team", type=TEXT, help="its team")
    parser.add_argument("--user", type=TEXT, help="its user")
    parser.add_argument("--type", choices=TYPES, help="(default: llm_api)")


def _add_spend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by",
        choices=("key", "team", "user", "customer", "tag", "model", "day"),
        default="key",
        help="(default: key)",
    )
    _add_period(parser)


def _add_period(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="start", metavar="DAY", help="such as 2026-11-01, UTC")
    parser.add_argument("--to", dest="end", metavar="DAY", help="(default: today)")
    parser.add_argument("--csv", action="store_true", help="print CSV")


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    from .key_actions import run_action

    return run_action(arguments)
