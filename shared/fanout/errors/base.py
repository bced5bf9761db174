"""The base class of all errors, and what clients see of one."""

from __future__ import annotations

import sys
from typing import ClassVar

from msgspec import Struct


class ErrorDetail(Struct, frozen=True):
    """What clients may see of an error; `retry_after` is the pause in seconds before a retry."""

    message: str
    type: str = "api_error"
    param: str | None = None
    code: str | None = None
    retry_after: float | None = None


class FanoutError(Exception):
    """The base class: every error has a `status` and a `detail`."""

    status: int = 500
    type: ClassVar[str] = "api_error"
    code: ClassVar[str | None] = None
    is_final: ClassVar[bool] = False
    """Whether no other deployment of the model is to get the same request."""

    @property
    def detail(self) -> ErrorDetail:
        return ErrorDetail(str(self), self.type, None, self.code)

    def __reduce__(self) -> tuple[object, ...]:
        """For copies and pickles: without the deployment, which has a key, but its name."""
        kind = next(one for one in type(self).__mro__ if _is_importable(one))
        state = {name: value for name, value in vars(self).items() if name not in _SDK_ONLY}
        if "deployment" in state:
            state["deployment"] = DeploymentName(state["deployment"].name)
        return restored, (kind, self.args, state)


_SDK_ONLY = frozenset({"request", "response"})
"""What an OpenAI SDK's error has and cannot be copied; see `library/openai_errors.py`."""


class DeploymentName(Struct, frozen=True):
    """All that a copied error knows of its deployment."""

    name: str


def _is_importable(kind: type) -> bool:
    return getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind


def restored(
    kind: type[FanoutError], arguments: tuple[object, ...], state: dict[str, object]
) -> FanoutError:
    """A copied or unpickled error."""
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


INTERNAL = ErrorDetail("an internal error; the log has it under this request's id", "server_error")


class Internal(FanoutError):
    """A bug in Fanout (its `__cause__`), which is already logged."""

    def __init__(self) -> None:
        super().__init__(INTERNAL.message)

    @property
    def detail(self) -> ErrorDetail:
        return INTERNAL


def status_of(error: Exception) -> int:
    """The HTTP status of an error; a bug's is 500."""
    return error.status if isinstance(error, FanoutError) else 500


def detail_of(error: Exception) -> ErrorDetail:
    """What a client may see of an error; of a bug, only that there was one."""
    return error.detail if isinstance(error, FanoutError) else INTERNAL
