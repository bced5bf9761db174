"""The exceptions that only the Python functions raise. `fanout/errors.py` has the others."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import FanoutError
from .types import ChatCompletion


class CheckpointError(FanoutError):
    """A checkpoint file cannot be used or written; `responses` holds what was received."""

    code = "checkpoint_failed"

    def __init__(
        self, message: str, responses: Sequence[ChatCompletion | FanoutError] = ()
    ) -> None:
        super().__init__(message)
        self.responses = responses


class GatewayError(FanoutError):
    """The gateway rejected a cancel or a renewal of `open_request`; `status` is its response's."""

    code = "gateway_error"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class GatewayUnreachable(GatewayError):
    """The gateway of `open_request` did not respond."""

    code = "gateway_unreachable"

    def __init__(self, message: str) -> None:
        super().__init__(message, 502)


class ForkedProcess(FanoutError, RuntimeError):
    """The process was forked after its parent had made a call; the HTTP engine cannot go on."""

    code = "forked_process"

    def __init__(self) -> None:
        super().__init__(
            "this process was forked after its parent had made a call, and the HTTP engine does "
            "not survive that: start processes by `spawn`, or fork before the first call"
        )
