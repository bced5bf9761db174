"""Records on disk: what an earlier version wrote is still read."""

from __future__ import annotations

from fanout.bulk.service.records import Job
from fanout.bulk.totals import Totals
from fanout.wire import json

STORED = b"""{"id": "batch_1", "host": "run", "owner": "anyone", "input_file_id": "file-1",
"input_key": "files/file-1", "completion_window": "24h", "created_at": 1, "expires_at": 2,
"status": "completed", "extra": ["files/file-0"], "tally": {"done": 3, "failed": 1, "cost": 0.5}}"""


def test_fields_of_a_stored_job_keep_their_stored_names() -> None:
    job = json.decode(STORED, type=Job)
    assert job.totals == Totals(done=3, failed=1, cost=0.5)
    assert job.earlier_outputs == ["files/file-0"]
    stored = json.decode(json.encode(job))
    assert (stored["tally"]["done"], stored["extra"]) == (3, ["files/file-0"])
    assert json.decode(json.encode(job), type=Job) == job
