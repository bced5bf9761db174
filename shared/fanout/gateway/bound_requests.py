"""
Requests with what only the maker of an earlier response can read, such as encrypted reasoning.

Another account, or another model, rejects such a request. So if several may get it, that part is
left out; or the request is rejected, if it goes on with a conversation that its vendor keeps.
Imported with the first such request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from ..config.deployment import Deployment
from ..schema.fanout import FanOutRequest
from ..schema.pass_through import LEFT_OUT_REASONING, OriginalRequest
from ..schema.request import ChatRequest
from ..schema.validation import replace_messages

API = "responses"
"""The API whose models have encrypted reasoning."""


def fit_bound(request: FanOutRequest, deployments: Iterable[Deployment]) -> FanOutRequest:
    """The request for these deployments: one of more than one account has nothing that is bound."""
    listed = tuple(deployments)
    chats = tuple(_fitted(chat, listed) for chat in request.conversations)
    return replace(request, conversations=chats)


def _fitted(chat: ChatRequest, deployments: tuple[Deployment, ...]) -> ChatRequest:
    original: OriginalRequest | None = chat.original
    if original is None or not original.is_bound:
        return _readable(chat, deployments)
    if original.needs_keeper is not None:
        if not _has_keeper(original, deployments):
            raise original.needs_keeper
        return chat
    able = [one for one in deployments if one.provider.pass_through(original.api, one.target)]
    if all(_is_same(able[0], one) for one in able):
        return replace(chat, original=_of_one_account(original))
    if original.unbound is original.members:
        return chat
    if original.unbound is None:
        if original.untranslatable is not None:
            raise original.untranslatable
        return replace(chat, original=None)
    unbound = replace(
        original, members=original.unbound, is_bound=False, left_out=(LEFT_OUT_REASONING,)
    )
    return replace(chat, original=unbound)


def _of_one_account(original: OriginalRequest) -> OriginalRequest:
    """The account may have stored what reasoning without `encrypted_content` refers to."""
    if original.members.value("store") == b"false":
        return original
    return replace(original, has_plain_reasoning=False)


def _has_keeper(original: OriginalRequest, deployments: tuple[Deployment, ...]) -> bool:
    """Whether one account gets the request, and with it each later one of its conversation."""
    first, *others = deployments
    codec = first.provider.pass_through(original.api, first.target)
    return (
        codec is not None
        and all(original.members.value(name) is None for name in codec.lacks)
        and len(first.keys) <= 1
        and all(_is_same(first, one) for one in others)
    )


def _readable(chat: ChatRequest, deployments: tuple[Deployment, ...]) -> ChatRequest:
    """The chat request without encrypted reasoning, if several accounts with its API may get it."""
    able = [one for one in deployments if one.provider.pass_through(API, one.target)]
    models = {one.target.model: one for one in able}
    if all(_is_same(models[one.target.model], one) for one in able):
        return chat  # the codec gives each model its own reasoning
    messages = [_without_encrypted(message) for message in chat.body["messages"]]
    if all(new is old for new, old in zip(messages, chat.body["messages"], strict=True)):
        return chat
    changed = replace_messages(chat, {**chat.body, "messages": messages})
    return replace(
        changed,
        places=chat.places,
        original=chat.original,
        names=chat.names,
        left_out=("messages[].extra_content",),
    )


def _without_encrypted(message: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = message.get("extra_content")
    if not isinstance(extra, dict):
        return message
    kept = {vendor: given for vendor, given in extra.items() if not _is_encrypted(given)}
    return message if len(kept) == len(extra) else {**message, "extra_content": kept}


def _is_encrypted(value: object) -> bool:
    """Whether lists of a vendor's own have encrypted items."""
    lists = value.values() if isinstance(value, dict) else ()
    items = (item for listed in lists if isinstance(listed, list) for item in listed)
    return any(isinstance(item, dict) and "encrypted_content" in item for item in items)


def _is_same(one: Deployment, other: Deployment) -> bool:
    """Whether two deployments are the same model of the same account."""

    def account(of: Deployment) -> object:
        return of.provider.name, of.target.model, of.base_url, of.keys

    return account(one) == account(other)
