"""Whether and why a worker starts no more lines."""

from __future__ import annotations

from ..input.planner import LineError
from ..store import JobProgress, Stop
from .rejections import Rejections


class WorkerStop:
    """
    Why a worker starts no more lines; `reason` is `None` as long as it starts some.

    If every call was rejected, `rejection` is the error with which the job ends.
    """

    def __init__(self, progress: JobProgress, rejections: Rejections) -> None:
        self.reason: Stop | None = None
        self.rejection: LineError | None = None
        self._progress = progress
        self._rejections = rejections

    def is_set(self) -> bool:
        """Whether the worker starts no more lines."""
        return self.reason is not None

    def set(self, reason: Stop | None) -> None:
        """Stop for this reason, unless there is an earlier one."""
        self.reason = self.reason or reason

    def check_progress(self) -> None:
        """Stop if the job's progress lets no line start any more."""
        if self.reason is None:
            self.reason = self._progress_reason()

    def check_rejections(self) -> None:
        """Stop if every call was rejected, and none is in flight."""
        if self.reason is None and (error := self._rejections.check()) is not None:
            self.reason, self.rejection = "refused", error

    def is_ending(self) -> bool:
        """Whether lines that are not sent yet are left; at a cost cap, those that fit are sent."""
        return (self.reason or self._progress_reason()) not in {None, "capped"}

    def _progress_reason(self) -> Stop | None:
        stop = self._progress.reserve(0)
        return None if stop == "wait" else stop
