"""What a response needs of the client's request."""

from __future__ import annotations

from ...secret import HiddenRepr


class RequestContext(HiddenRepr, frozen=True):
    """
    What a response needs of the client's request.

    `thinks` is whether the client asks for thinking, `stops` are its stop sequences, `tokens` is
    the estimate of the prompt's tokens. `effort_field` is the field that asks for an effort.
    """

    thinks: bool = False
    stops: frozenset[str] = frozenset()
    tokens: int = 0
    effort_field: str = "output_config.effort"
