"""The API function: what its start does not load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = """
import sys
import functions.api.app
print(*{name.split(".")[0] for name in sys.modules} & set(sys.argv[1:]))
"""
ENV = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_REGION": "eu-west-1",
    "AWS_SECRET_ACCESS_KEY": "x",
    "FANOUT_BUCKET": "jobs",
    "FANOUT_MACHINE": "arn",
    "FANOUT_SECRET_PREFIX": "x/",
    "FANOUT_SERVICE": "x",
    "FANOUT_TABLE": "records",
    "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
}


def test_a_start_of_the_api_function_loads_neither_boto3_nor_pydantic(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    entry = {"model": "openai/m", "api_key": "os.environ/OPENAI_API_KEY"}
    config.write_text(json.dumps({"model_list": [{"model_name": "m", "litellm_params": entry}]}))
    heavy = ["boto3", "pydantic", "pydantic_core"]
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-c", CODE, *heavy],
        capture_output=True,
        text=True,
        check=False,
        env={**ENV, "FANOUT_CONFIG": str(config)},
    )
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
