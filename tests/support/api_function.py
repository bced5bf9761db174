"""The environment and the config of the API function's process."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENV = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_REGION": "eu-west-1",
    "AWS_SECRET_ACCESS_KEY": "x",
    "FANOUT_BUCKET": "jobs",
    "FANOUT_MACHINE": "arn",
    "FANOUT_SECRET_PREFIX": "x/",
    "FANOUT_SERVICE": "x",
    "FANOUT_TABLE": "records",
    "LAMBDA_TASK_ROOT": str(ROOT),
    "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
}


def write_config(folder: Path, base: str, general: Mapping[str, object] = {}) -> str:
    """Write a config with the model `m` at a base URL and the key `k`; return its path."""
    config = folder / "config.json"
    entry = {"model": "openai/m", "api_base": base, "api_key": "sk-literal"}
    models = [{"model_name": "m", "litellm_params": entry}]
    config.write_text(
        json.dumps({"model_list": models, "general_settings": {"master_key": "k"} | dict(general)})
    )
    return str(config)
