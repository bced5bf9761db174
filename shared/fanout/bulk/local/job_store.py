"""Where `fanout batch run` creates its jobs."""

from __future__ import annotations

from typing import Protocol

from ..service.batches import JobService
from ..service.files import FileService
from ..service.records import Job
from ..store import RecordStore, ResultStore
from .response_index import ResponseIndex


class JobStore(Protocol):
    """Where jobs are created, and the owner they get: on this machine, or in a stack."""

    @property
    def files(self) -> FileService: ...

    @property
    def jobs(self) -> JobService: ...

    @property
    def table(self) -> RecordStore: ...

    @property
    def owner(self) -> str: ...

    @property
    def is_remote(self) -> bool:
        """Whether reading a blob is slower than reading the user's file again."""
        ...

    @property
    def index(self) -> ResponseIndex | None:
        """Finds the responses of jobs that were started on this machine, by content."""
        ...

    @property
    def config_path(self) -> str | None:
        """The file of the config with which jobs run; `None` if there is none, or in a stack."""
        ...

    def results(self, job: Job) -> ResultStore:
        """The job's results so far."""
        ...
