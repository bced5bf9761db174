"""`fanout keys`: sets and lists the keys of a deployed stack."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

SET = """Set a key's value. The command prompts for it without showing it, or reads standard input:
one key per line, or a JSON list; several keys are used in turn. It is never an argument, because
other users of the machine could read that. The gateway uses it within five minutes, or at once if
it had none or the provider rejects the old one. Nothing is deployed."""

LIST = """List the keys that the stack's config names, whether each has a value, and since when.
Values are never shown."""


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    parser = commands.add_parser(
        "keys",
        help="set and list the keys of a deployed stack",
        description="Set and list the keys of a deployed stack, in AWS Secrets Manager.",
        formatter_class=Help,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    setting = actions.add_parser(
        "set", help="set a key's value", description=SET, formatter_class=Help
    )
    setting.add_argument("name", metavar="NAME", help="the name in the config, e.g. OPENAI_API_KEY")
    setting.add_argument("--add", action="store_true", help="add to the current keys")
    setting.set_defaults(run=run_set)
    listing = actions.add_parser(
        "list", help="list the keys", description=LIST, formatter_class=Help
    )
    listing.set_defaults(run=run_list)
    for action in (setting, listing):
        action.add_argument("--stack", required=True, metavar="S", help="the stack's name")
        action.add_argument("--region", metavar="R", help="its region (default: your AWS settings)")
        add_json(action)


def run_set(arguments: argparse.Namespace) -> int:
    """Store the value and print how many keys there are now."""
    from ..aws.stack_keys import open_client, read_texts, set_key
    from .printing import show, show_json

    texts = read_texts(_read_value(arguments.name))
    with open_client(arguments.region) as client:
        count = set_key(client, arguments.stack, arguments.name, texts, add=arguments.add)
    if arguments.json:
        show_json({"name": arguments.name, "keys": count})
    else:
        show(f"{arguments.name} has {count} key{'' if count == 1 else 's'}")
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Print one line per key."""
    from ..aws.stack_keys import list_keys, open_client
    from .printing import show, show_json
    from .table import columns

    with open_client(arguments.region) as client:
        keys = list_keys(client, arguments.stack)
    if arguments.json:
        listed = [{"name": k.name, "has_value": k.has_value, "changed": k.changed} for k in keys]
        show_json({"stack": arguments.stack, "keys": listed})
    elif keys:
        rows = [("KEY", "VALUE", "CHANGED")]
        rows += [
            (k.name, "yes" if k.has_value else "MISSING", _format_time(k.changed)) for k in keys
        ]
        show(columns(rows))
    else:
        show(f"no stack `{arguments.stack}` with keys in this region; is it in another one?")
    return 0


def _read_value(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.read()
    from getpass import getpass

    return getpass(f"{name} (input is hidden): ")


def _format_time(changed: object) -> str:
    return f"{changed:%Y-%m-%d %H:%M}" if changed else "-"
