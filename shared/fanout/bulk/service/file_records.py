"""The records of files and uploads, and their JSON in the API. Pure."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

JOB_PREFIX = "batch_"
"""How the id of a job begins."""


class FileRecord(Struct, frozen=True, kw_only=True):
    """A file; its bytes are the blob `key`. Times are in seconds since 1970."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    owner: str
    key: str
    expires_at: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's file object."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


def job_of_output(file_id: str) -> str | None:
    """The id of the job whose output has this id; `None` if it is not the id of an output."""
    name = file_id.removeprefix("file-")
    return f"{JOB_PREFIX}{name[:-1]}" if name != file_id and name.endswith("o") else None


class UploadRecord(Struct, frozen=True, kw_only=True):
    """A file that is uploaded in parts."""

    id: str
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    owner: str
    status: Literal["pending", "completed", "cancelled", "expired"] = "pending"
    lifetime: int | None = None

    def to_dict(self, file: FileRecord | None) -> dict[str, Any]:
        """OpenAI's upload object."""
        return {
            "id": self.id,
            "object": "upload",
            "bytes": self.bytes,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": self.status,
            "file": file.to_dict() if file else None,
        }
