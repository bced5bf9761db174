"""
Lists and sets the keys of a deployed stack, for `fanout keys`.

Needs boto3 (the extra `aws`). Never prints or returns the text of a key. The
gateway itself reads the keys with `secrets_manager`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Protocol

from msgspec import Struct

from ..errors import ConfigError
from ..settings import install_command
from ..wire import json
from .errors import from_boto3
from .secrets_manager import parse_keys


class Client(Protocol):
    """The methods of boto3's Secrets Manager client that are used here."""

    def list_secrets(self, **parameters: Any) -> Mapping[str, Any]: ...

    def get_secret_value(self, **parameters: Any) -> Mapping[str, Any]: ...

    def put_secret_value(self, **parameters: Any) -> Mapping[str, Any]: ...


class StackKey(Struct, frozen=True):
    """A key of a stack. Until it has a value, its provider cannot be called."""

    name: str
    has_value: bool
    changed: datetime | None
    arn: str


@contextmanager
def open_client(region: str | None) -> Iterator[Client]:
    """A client for Secrets Manager; AWS's errors in the block are raised as `FanoutError`."""
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise ConfigError(f"the keys of a stack need boto3: {install_command('aws')}") from None
    try:
        yield boto3.client("secretsmanager", region_name=region)
    except (BotoCoreError, ClientError) as error:
        raise from_boto3(error) from None


def list_keys(client: Client, stack: str) -> list[StackKey]:
    """Every key of the stack, by name."""
    prefix, found, page = f"{stack}/", [], ""
    while True:
        more = {"NextToken": page} if page else {}
        filters = [{"Key": "name", "Values": [prefix]}]
        result = client.list_secrets(Filters=filters, MaxResults=100, **more)
        found += [_key(entry, prefix) for entry in result["SecretList"] if _is_ours(entry, prefix)]
        page = result.get("NextToken") or ""
        if not page:
            return sorted(found, key=lambda key: key.name)


def set_key(client: Client, stack: str, name: str, texts: Sequence[str], *, add: bool) -> int:
    """Store these texts as the key's value; `add` keeps the old ones. Returns how many it has."""
    key = _find(list_keys(client, stack), stack, name)
    old: Sequence[str] = ()
    if add and key.has_value:
        old = parse_keys(client.get_secret_value(SecretId=key.arn).get("SecretString", ""))
    kept = list(dict.fromkeys([*old, *texts]))
    value = kept[0] if len(kept) == 1 else json.encode(kept).decode()
    client.put_secret_value(SecretId=key.arn, SecretString=value)
    return len(kept)


def read_texts(given: str) -> list[str]:
    """The keys in a text: one on each line, or a JSON list. Raises `ConfigError` if it has none."""
    if given.lstrip().startswith("["):
        texts = list(parse_keys(given))
    else:
        texts = [line.strip() for line in given.splitlines() if line.strip()]
    if not texts:
        raise ConfigError("no key was given: type it, or pipe one key per line")
    if any(not text.isascii() or not text.isprintable() or " " in text for text in texts):
        raise ConfigError("a key must have ASCII characters only, and no spaces")
    return texts


def _find(keys: Sequence[StackKey], stack: str, name: str) -> StackKey:
    for key in keys:
        if key.name == name:
            return key
    if not keys:
        raise ConfigError(f"there is no stack `{stack}` with keys here: is it another region?")
    names = [key.name for key in keys]
    near = get_close_matches(name, names, n=1)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    raise ConfigError(f"the stack `{stack}` has no key `{name}`: it has {', '.join(names)}{hint}")


def _is_ours(entry: Mapping[str, Any], prefix: str) -> bool:
    return str(entry["Name"]).startswith(prefix) and "DeletedDate" not in entry


def _key(entry: Mapping[str, Any], prefix: str) -> StackKey:
    stages = entry.get("SecretVersionsToStages") or {}
    has_value = any("AWSCURRENT" in labels for labels in stages.values())
    changed = entry.get("LastChangedDate") if has_value else None
    return StackKey(entry["Name"].removeprefix(prefix), has_value, changed, entry["ARN"])
