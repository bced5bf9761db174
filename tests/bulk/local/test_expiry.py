"""What has expired is deleted when a server starts, without any request for it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.bulk.local_jobs import jsonl, line, open_jobs, run

DAY = 24 * 3600


def test_a_server_deletes_expired_files_uploads_and_drafts(tmp_path: Path) -> None:
    start = time.time()

    async def parts() -> object:
        yield b"part"

    async def main() -> None:
        async with open_jobs(tmp_path) as jobs:
            files = jobs.service.files
            kept = await jobs.upload(jsonl([line("x")]))
            key = files.new_key()
            await files.blobs.write(key, parts())  # type: ignore[arg-type]
            expiring = await files.register(key, "in.jsonl", "batch", "master", 3600)
            upload = await files.begin_upload("in.jsonl", "batch", 9, "master", None)
            await files.add_part(upload.id, "master", parts())  # type: ignore[arg-type]
        drafts = [tmp_path / "files" / name for name in (".draft-old", ".draft-new")]
        for draft, age in zip(drafts, (DAY, 0), strict=True):
            draft.write_bytes(b"half")
            os.utime(draft, (start + 2 * DAY - age - 60,) * 2)
        async with open_jobs(tmp_path, now=lambda: start + 2 * DAY) as jobs:

            async def is_clean() -> bool:
                left = {path.name for path in (tmp_path / "files").iterdir()}
                uploads = list((tmp_path / "uploads").iterdir())
                return left == {kept, ".draft-new"} and uploads == []

            await jobs.wait_until(is_clean)
            assert await jobs.service.database.get("file", expiring.id) is None

    run(main())
