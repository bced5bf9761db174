"""
The addresses of AWS's services, and the bucket and the role of a deployment's native batches.

Does not depend on what is stored there. The names of the settings are LiteLLM's
(docs.litellm.ai/docs/providers/bedrock_batches, 2026-10).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import ConfigError
from ..providers.base import Provider, SigV4
from .model import ModelParams

ENDPOINT = "AWS_ENDPOINT_URL"
IN_VARIABLES = {"secretsmanager": "SECRETS_MANAGER"}
"""
boto3's variable for all services; the name of one is after it, which may be another than in its
address: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html.
"""

FOLDER = "fanout-batches"
"""The folder of the bucket; a stack deletes what is in it after some days."""

BUCKET = re.compile(r"[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]")
ROLE = re.compile(r"arn:aws(?:-[^:]+)?:iam::\d{12}:role/.+")
"""`S3Uri` and `RoleArn` in the service's model of botocore 1.44."""

OF_STACK = ("FANOUT_BUCKET", "FANOUT_BATCH_ROLE")
"""The variables that a stack sets for its own bucket and its role for batches."""


def service_endpoint(env: Mapping[str, str], service: str, region: str) -> str:
    """The service's address in the region, or the one that boto3's environment variables name."""
    own = f"{ENDPOINT}_{IN_VARIABLES.get(service, service.upper())}"
    named = env.get(own) or env.get(ENDPOINT)
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return (named or f"https://{service}.{region}.{domain}").rstrip("/")


def service_addresses(
    provider: Provider, options: Mapping[str, str], env: Mapping[str, str]
) -> dict[str, str]:
    """The addresses of the services besides the provider's own, by their names."""
    if not isinstance(provider.auth, SigV4) or "region" not in options:
        return {}
    region = options["region"]
    return {name: service_endpoint(env, name, region) for name in provider.auth.others}


def batch_options(params: ModelParams, env: Mapping[str, str]) -> dict[str, str]:
    """
    Where the native batches of a deployment are stored, and the role that reads and writes there.

    With `native_batches: true` and neither of them, they are the stack's. There are none if the
    process belongs to no stack with jobs. Raises `ConfigError`.
    """
    bucket, role = params.s3_bucket_name, params.aws_batch_role_arn
    if params.native_batches and not bucket and not role:
        bucket, role = (env.get(name) for name in OF_STACK)
        if not (bucket and role) and "FANOUT_SECRET_PREFIX" in env:  # a stack without jobs
            return {}
        if not (bucket and role):
            raise ConfigError(
                "`native_batches: true` needs `s3_bucket_name`, the bucket for the batches, and "
                "`aws_batch_role_arn`, the role that reads and writes it; only in a stack can they "
                "be left out"
            )
    elif bool(bucket) != bool(role):
        missing, given = "aws_batch_role_arn", "s3_bucket_name"
        if not bucket:
            missing, given = given, missing
        raise ConfigError(
            f"`{missing}` is missing: native batches need it beside `{given}`; set both or neither"
        )
    if not bucket or not role:
        return {}
    if not BUCKET.fullmatch(bucket):
        raise ConfigError("`s3_bucket_name` must be the name of a bucket, such as `our-batches`")
    if not ROLE.fullmatch(role):
        raise ConfigError(
            "`aws_batch_role_arn` must be the ARN of a role, such as "
            f"`arn:aws:iam::111122223333:role/batches`, not `{role[:70]}`"
        )
    return {"batch_uri": f"s3://{bucket}/{FOLDER}", "batch_role": role}
