"""`fanout team`, `fanout user` and `fanout budget`: what the virtual keys of this machine share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .no_value import TEXT, add_budget, add_limits, model_names, new_id
from .shared_arguments import Help, add_config, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    Actions = _SubParsersAction[argparse.ArgumentParser]

ABOUT = {
    "team": "make teams, whose keys share a budget, limits and models",
    "user": "make users, whose keys without a team share a budget, limits and models",
    "budget": "make budgets with an id, which keys, teams and users may have",
}

CHANGES = {
    "block": "reject the {}'s keys from their next request on",
    "unblock": "accept them again",
}


def add(commands: Actions) -> None:
    """Add the commands and their actions."""
    for kind, about in ABOUT.items():
        parser = commands.add_parser(
            kind,
            help=about,
            description=f"{about[:1].upper()}{about[1:]}. They are those of `fanout serve` on this "
            "machine, which may run meanwhile. docs/keys.md explains them.",
            formatter_class=Help,
        )
        actions = parser.add_subparsers(
            dest="action", required=True, metavar="ACTION", title="actions"
        )
        create = _action(actions, kind, "create", f"create a {kind}; `none` means no limit")
        create.add_argument("--id", type=new_id, help="its id (default: a random one)")
        _add_fields(create, kind)
        _action(actions, kind, "list", f"list all {kind}s")
        _named(_action(actions, kind, "info", f"show a {kind}"))
        update = _action(actions, kind, "update", "change the given fields; `none` clears one")
        _named(update)
        _add_fields(update, kind)
        if kind != "budget":
            for name, text in CHANGES.items():
                _named(_action(actions, kind, name, text.format(kind)))
        kept = "its keys, teams and users keep its limits" if kind == "budget" else "with its keys"
        _named(_action(actions, kind, "delete", f"delete the {kind}, {kept}"))


def _action(actions: Actions, kind: str, name: str, about: str) -> argparse.ArgumentParser:
    text = f"{about[:1].upper()}{about[1:]}."
    parser = actions.add_parser(name, help=about, description=text, formatter_class=Help)
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run, kind=kind)
    return parser


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="its id")


def _add_fields(parser: argparse.ArgumentParser, kind: str) -> None:
    add_budget(parser)
    add_limits(parser)
    if kind == "budget":
        return
    parser.add_argument("--alias", type=TEXT, help="its name")
    parser.add_argument(
        "--models",
        type=model_names,
        metavar="NAMES",
        help="the models it may use, with commas; all-proxy-models for all",
    )
    parser.add_argument("--budget-id", type=TEXT, metavar="ID", help="a budget whose limits it has")
    if kind == "user":
        parser.add_argument("--email", type=TEXT, help="an address that no other user has")


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    from .team_actions import run_action

    return run_action(arguments)
