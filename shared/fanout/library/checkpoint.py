"""
`checkpoint="run.jsonl"`: each response is stored when it arrives, and not requested again later.

The file has one JSON object a line: `{"key": …, "response": {…}}`. The key is a hash of the model,
the messages and the options that are sent to the model, so one file may serve several calls, and
a changed prompt is sent again. Failed calls are not stored. Equal prompts are distinguished by
the order in which they appear. A line that a crash cut off is removed, and its call is made again.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from ..disk.file_lock import try_lock
from ..disk.files import write_all
from ..errors import FanoutError, RequestError
from .errors import CheckpointError
from .types import ChatCompletion


class Checkpoint:
    """The responses in a file, which is this call's alone for the block."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, str | os.PathLike):
            kind = type(path).__name__
            raise RequestError(f"`checkpoint` must be a file's path, not `{kind}`", "checkpoint")
        self._path = Path(path)
        self._stored: dict[str, Any] = {}
        self._seen: Counter[str] = Counter()
        self._failed: str | None = None
        try:
            self._path.touch(mode=0o600)  # responses may be private
            self._file = self._path.open("r+b", buffering=0)
            self._lock()
            self._read()
        except OSError as error:
            raise self._error(error.strerror or type(error).__name__) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.close()

    @property
    def failure(self) -> str | None:
        """Why a response could not be stored; `None` if all are."""
        return self._failed

    def key(self, request: Mapping[str, Any]) -> str | None:
        """
        The key of a request: its hash, and a number if the same request was seen before.

        `None` if it is not JSON; such a request is rejected and has no response.
        """
        try:
            text = msgspec.json.encode(request, order="sorted")
        except (TypeError, ValueError, RecursionError):
            return None
        name = hashlib.blake2b(text, digest_size=16).hexdigest()
        self._seen[name] += 1
        return name if self._seen[name] == 1 else f"{name}#{self._seen[name]}"

    def find(self, key: str | None) -> Any | None:
        """The stored response, as JSON; `None` if there is none."""
        return None if key is None else self._stored.get(key)

    def store(self, key: str | None, response: Mapping[str, Any]) -> None:
        """Append a response. After a failed write nothing more is written."""
        if key is None or self._failed is not None:
            return
        line = msgspec.json.encode({"key": key, "response": response}) + b"\n"
        end = self._file.tell()
        try:
            write_all(self._file, line)
        except OSError as error:
            self._failed = error.strerror or type(error).__name__
            with suppress(OSError):
                self._file.truncate(end)

    def error(self, responses: list[ChatCompletion | FanoutError]) -> CheckpointError:
        """The error of a call whose responses could not all be stored."""
        return self._error(f"{self._failed}; the error's `responses` has every response", responses)

    def _lock(self) -> None:
        if not try_lock(self._file.fileno()):
            self._file.close()
            raise self._error("another call is using it")

    def _read(self) -> None:
        end = 0
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break  # cut off by a crash
                try:
                    entry = msgspec.json.decode(line)
                    self._stored[entry["key"]] = entry["response"]
                except (ValueError, TypeError, KeyError):
                    self._file.close()
                    raise self._error(f"line {number} is not a stored response") from None
                end += len(line)
        self._file.truncate(end)
        self._file.seek(end)

    def _error(
        self, reason: str, responses: list[ChatCompletion | FanoutError] | None = None
    ) -> CheckpointError:
        return CheckpointError(f"the checkpoint `{self._path}`: {reason}", responses or ())
