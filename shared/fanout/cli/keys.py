"""`fanout keys`: give the keys of a deployed stack their values, and see which have one."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

SET = """Give a key its value. It is asked for without being shown, or read from standard input:
one key a line, or a JSON list; several are used in turn. It is never an argument, which others
could read. The gateway uses it within five minutes, at once where it had none or the old one is
refused; nothing is deployed."""

LIST = """List the keys that the stack's config names: whether each has a value, and since when.
Values are never shown."""


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Its words."""
    parser = commands.add_parser(
        "keys",
        help="the keys of a deployed stack",
        description="The keys of a deployed stack, in AWS Secrets Manager.",
        formatter_class=Help,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
    setting = verbs.add_parser(
        "set", help="give one its value", description=SET, formatter_class=Help
    )
    setting.add_argument("name", metavar="NAME", help="as the config has it: OPENAI_API_KEY")
    setting.add_argument("--add", action="store_true", help="keep the keys that it has")
    setting.set_defaults(run=run_set)
    listing = verbs.add_parser(
        "list", help="which there are", description=LIST, formatter_class=Help
    )
    listing.set_defaults(run=run_list)
    for verb in (setting, listing):
        verb.add_argument("--stack", required=True, metavar="S", help="the stack's name")
        verb.add_argument("--region", metavar="R", help="its region (else AWS's usual settings)")
        add_json(verb)


def run_set(arguments: argparse.Namespace) -> int:
    """Put the value in, and say how many keys there are now."""
    from ..aws.stack_keys import open_client, read_texts, set_key
    from ..wire import json

    texts = read_texts(_read_value(arguments.name))
    with open_client(arguments.region) as client:
        count = set_key(client, arguments.stack, arguments.name, texts, add=arguments.add)
    if arguments.json:
        print(json.encode({"name": arguments.name, "keys": count}).decode())
    else:
        print(f"{arguments.name} has {count} key{'' if count == 1 else 's'}")
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Print one line a key."""
    from ..aws.stack_keys import list_keys, open_client
    from ..wire import json
    from .table import columns

    with open_client(arguments.region) as client:
        keys = list_keys(client, arguments.stack)
    if arguments.json:
        told = [{"name": k.name, "has_value": k.has_value, "changed": k.changed} for k in keys]
        print(json.encode({"stack": arguments.stack, "keys": told}).decode())
    elif keys:
        rows = [("KEY", "VALUE", "CHANGED")]
        rows += [
            (k.name, "yes" if k.has_value else "MISSING", _format_time(k.changed)) for k in keys
        ]
        print(columns(rows))
    else:
        print(f"there is no stack `{arguments.stack}` with keys here: is it another region?")
    return 0


def _read_value(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.read()
    from getpass import getpass

    return getpass(f"{name} (not shown): ")


def _format_time(changed: object) -> str:
    return f"{changed:%Y-%m-%d %H:%M}" if changed else "-"
