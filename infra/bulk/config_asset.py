"""Publishes the config as a CDK asset, where `fanout batch quote --stack` reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import aws_cdk as cdk
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from ..config import BATCH_STORAGE, GatewayConfig

OUTPUT = "JobsConfig"


def publish_config(scope: Construct, config: GatewayConfig, environment: Mapping[str, str]) -> None:
    """
    Upload the config and its environment variables to CDK's own bucket; an output has the address.

    Neither contains a key. A quote needs no more of the bucket and the role for native batches than
    that they are there.
    """
    variables = {**(BATCH_STORAGE if config.batch_models else {}), **environment}
    content = {"config": json.loads(config.text), "environment": variables}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
        asset = assets.Asset(scope, "Config", path=str(path))
    cdk.CfnOutput(
        cdk.Stack.of(scope),
        OUTPUT,
        value=asset.s3_object_url,
        description="The config; `fanout batch quote --stack` reads it",
    )
