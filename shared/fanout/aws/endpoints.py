"""The region of the process, the addresses of AWS's services, and calls to them."""

from __future__ import annotations

from collections.abc import Mapping

from ..config.connection import region_of
from ..transport.credentials import Signer
from ..transport.engine import Engine, Outgoing
from ..wire.http import WireResponse

VARIABLES = {
    "dynamodb": "AWS_ENDPOINT_URL_DYNAMODB",
    "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER",
}
"""boto3's variables: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html."""


def own_region(env: Mapping[str, str]) -> str:
    """The region of the process, by its environment."""
    return region_of(env) or "us-east-1"


def service_endpoint(env: Mapping[str, str], service: str, region: str) -> str:
    """The service's address in the region, or the one that boto3's environment variables name."""
    named = env.get(VARIABLES[service]) or env.get("AWS_ENDPOINT_URL")
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return named or f"https://{service}.{region}.{domain}"


async def send_signed(
    engine: Engine, signer: Signer, service: str, region: str, request: Outgoing
) -> WireResponse:
    """Send a request with the signature of the process's credentials; raises what these raise."""
    signed = await signer.headers(request, service, region)
    headers = {**request.headers, **signed}
    return await engine.send(Outgoing(request.method, request.url, headers, request.body))
