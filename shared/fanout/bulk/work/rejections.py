"""Whether providers reject every call of a job for the same reason, so that the job ends."""

from __future__ import annotations

from collections.abc import Collection

from ...errors import ErrorDetail
from ..activity import ActivityTracker
from ..input.line_parser import Line
from ..input.planner import LineError

REJECTED_LINES = 20
"""Lines in a row that fail for the same reason, after which no call starts."""

REASONS = frozenset(
    {
        "provider_key_refused",
        "insufficient_quota",
        "model_not_found",
        "permission_denied",
        "unsupported_country_region_territory",
    }
)
"""Codes of errors that other lines of the same model have, too."""


class Rejections:
    """
    Counts the lines in a row that failed for one of `REASONS`; `models` are all of the job's.

    After `REJECTED_LINES` of them no call starts until those in flight have ended: another
    deployment of a model may only be slower. If one of them succeeds, the job goes on. If none
    does, it ends.
    """

    def __init__(self, models: Collection[str], activity: ActivityTracker) -> None:
        self._models = frozenset(models)
        self._activity = activity
        self._reset()

    def _reset(self, code: str = "") -> None:
        self._code, self._message = code, ""
        self._lines = 0
        self._rejected: set[str] = set()
        self._succeeded = self._activity.succeeded
        self._activity.is_rejected = False

    def failed(self, line: Line, detail: ErrorDetail) -> None:
        """A line has failed."""
        self.check()
        if detail.code != self._code:
            self._reset(detail.code or "")
        self._lines += 1
        self._rejected |= _models(line)
        self._message = detail.message
        are_all = self._lines >= REJECTED_LINES and self._models <= self._rejected
        self._activity.is_rejected = are_all and self._code in REASONS

    def check(self) -> LineError | None:
        """
        Count from zero if a call has succeeded.

        Returns the error with which the job ends; `None` if it goes on.
        """
        if self._activity.succeeded != self._succeeded:
            if not self._lines:
                self._succeeded = self._activity.succeeded
                return None
            self._reset()
        if not self._activity.is_rejected or self._activity.in_flight:
            return None
        why = f"The last {self._lines} lines were rejected for the same reason, the last one with: "
        rest = " The other lines were not sent; retry the job when this is solved."
        return LineError(self._code, f"{why}{self._message}.{rest}", None, None)


def _models(line: Line) -> set[str]:
    """The models that the line names."""
    options = line.body.get("fanout")
    given = (options.get("models") if isinstance(options, dict) else None) or line.body.get("model")
    return {name.strip() for name in (given.split(",") if isinstance(given, str) else given or ())}
