"""
A client's request of another API, which reaches a vendor with the same API as it is.

The chat request that is made of it carries it, and a chunk or a completion carries what the vendor
sent. Everything between works with the chat forms: races, retries, reports, prices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from ..secret import HiddenRepr
from ..wire.json_members import Members


class DefaultField(Struct, frozen=True):
    """
    Where an API has a parameter of chat requests that a config may set for all requests.

    `paths` are its places in the API: `a.b` is a member of an object. `also` are its names in other
    APIs of the same vendors; `convert` makes the API's form of a value, and does not change one
    that has it.
    """

    paths: tuple[str, ...]
    also: tuple[str, ...] = ()
    convert: Callable[[Any], Any] = lambda value: value


LEFT_OUT_REASONING = "input[].reasoning"
"""The name of reasoning that is left out of a request of OpenAI's Responses API."""


class OriginalRequest(HiddenRepr, frozen=True):
    """
    A client's request of another API than chat completions.

    `api` is the name of the API, `headers` are those that its vendor reads, `query` is what the
    client's URL has after `?`. `gateway_fields` are members of the body that are only for the
    gateway. `own_fields` are the paths of those that only
    the vendor knows, so that they may choose another model. `untranslatable` is the error for a
    model of another API, if the request has what no chat request has a place for. `defaults` says
    where the API has the parameters of chat requests that a config may set, by their names there.

    `is_bound`: it has what only the maker of an earlier response can read. `unbound` are the
    members without that, if it can be left out. `needs_keeper` is the error unless exactly one
    account may get it, whose vendor keeps conversations. `left_out` names what the members do not
    have of the client's request, because no vendor with the API would accept it.
    `has_plain_reasoning`: it has reasoning without `encrypted_content` that no account has stored.
    """

    api: str
    members: Members
    headers: Mapping[str, str]
    gateway_fields: tuple[str, ...] = ()
    own_fields: tuple[str, ...] = ()
    untranslatable: Exception | None = None
    defaults: Mapping[str, DefaultField] = {}
    is_bound: bool = False
    unbound: Members | None = None
    needs_keeper: Exception | None = None
    left_out: tuple[str, ...] = ()
    query: str = ""
    has_plain_reasoning: bool = False

    def body(self, changes: Mapping[str, bytes | None]) -> bytes:
        """The body without the gateway's fields and with these changes (JSON; `None` removes)."""
        return self.members.changed({**dict.fromkeys(self.gateway_fields), **changes})

    def asks(self, name: str) -> bool:
        """Whether a member of the body is `true`."""
        return self.members.value(name) == b"true"
