"""Checks a request against the rights of its client, before any call."""

from __future__ import annotations

from ..config.catalog import ClientKey
from ..config.model import GeneralSettings
from ..routing.authorization import check_content, check_model
from ..schema.fanout import FanOutRequest


def check_request(client: ClientKey, request: FanOutRequest, general: GeneralSettings) -> None:
    """Raise `Forbidden` for a name, a field or a file that the client may not use; names it."""
    for name in sorted(request.models):
        check_model(client, name, request.field)
    for name in sorted(request.names):
        check_model(client, name, "fallbacks")
    for name in request.check.escalate if request.check else ():
        check_model(client, name, "fanout.escalate")
    if request.judging is not None:
        check_model(client, request.judging.judge, "fanout.judge")
    for chat in request.conversations:
        check_content(client, chat, general)
