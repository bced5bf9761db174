"""The config where `fanout batch quote --stack` can read it: a file of its own beside the zip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import aws_cdk as cdk
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from ..config import GatewayConfig

OUTPUT = "JobsConfig"


def publish(scope: Construct, config: GatewayConfig, environment: Mapping[str, str]) -> None:
    """
    Put the config, and what its `os.environ/NAME` stand for, into CDK's own bucket; an output says
    where. Keys are in neither.
    """
    said = {"config": json.loads(config.text), "environment": dict(environment)}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(said, sort_keys=True), encoding="utf-8")
        asset = assets.Asset(scope, "Config", path=str(path))
    cdk.CfnOutput(
        cdk.Stack.of(scope),
        OUTPUT,
        value=asset.s3_object_url,
        description="The config, for quotes of jobs",
    )
