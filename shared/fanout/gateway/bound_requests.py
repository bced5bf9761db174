"""
Requests with what only the maker of an earlier response can read, such as encrypted reasoning.

Another account, or another model, rejects such a request. So if several may get it, that part is
left out. Imported with the first such request.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from ..config.deployment import Deployment
from ..schema.fanout import FanOutRequest
from ..schema.pass_through import OriginalRequest
from ..schema.request import ChatRequest


def fit_bound(request: FanOutRequest, deployments: Iterable[Deployment]) -> FanOutRequest:
    """The request for these deployments: one of more than one account has nothing that is bound."""
    listed = tuple(deployments)
    chats = tuple(_fitted(chat, listed) for chat in request.conversations)
    return replace(request, conversations=chats)


def _fitted(chat: ChatRequest, deployments: tuple[Deployment, ...]) -> ChatRequest:
    original: OriginalRequest | None = chat.original
    if original is None or not original.is_bound:
        return chat
    able = [one for one in deployments if one.provider.pass_through(original.api, one.target)]
    if all(_is_same(able[0], one) for one in able):
        return chat
    if original.unbound is None:
        if original.untranslatable is not None:
            raise original.untranslatable
        return replace(chat, original=None)
    unbound = replace(
        original, members=original.unbound, is_bound=False, left_out=("input[].reasoning",)
    )
    return replace(chat, original=unbound)


def _is_same(one: Deployment, other: Deployment) -> bool:
    """Whether two deployments are the same model of the same account."""

    def account(of: Deployment) -> object:
        return of.provider.name, of.target.model, of.base_url, of.keys

    return account(one) == account(other)
