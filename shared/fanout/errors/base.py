"""The base class of all errors, what clients see of one, and what its traceback holds."""

from __future__ import annotations

import sys
from typing import ClassVar, TypeVar

from msgspec import Struct

E = TypeVar("E", bound=BaseException)


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


def drop_tracebacks(error: E) -> E:
    """
    The error, without where it and the hidden errors before it were raised: for one that is kept.

    A traceback holds the variables of each function, such as a request's body. If one of them is
    the error, that is a reference cycle, and stays until Python's garbage collector runs. The
    traceback of a bug, which is the cause of another error, stays, without the variables.
    """
    found: BaseException | None = error
    while found is not None:
        found.__traceback__ = None
        if found.__cause__ is not None:
            import traceback  # only bugs need it

            traceback.clear_frames(found.__cause__.__traceback__)
            break
        found = found.__context__
    return error


def drop_all_tracebacks(*errors: BaseException) -> None:
    """
    Forget where errors, and each error that they have or that was raised before, were raised.

    For the end of a request, whose errors are logged.
    """
    found: list[BaseException | None] = [*errors]
    seen: set[int] = set()
    while found:
        one = found.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        found += (one.__cause__, one.__context__)
        one.__traceback__ = one.__context__ = None
        if isinstance(one, BaseExceptionGroup):
            found += one.exceptions
