"""The region of the process, the addresses of AWS's services, and calls to them."""

from __future__ import annotations

from collections.abc import Mapping

from ..transport.credentials import Signer
from ..transport.engine import Engine, Outgoing
from ..wire.http import WireResponse

VARIABLES = {
    "dynamodb": "AWS_ENDPOINT_URL_DYNAMODB",
    "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER",
}
"""boto3's variables: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html."""


def region_of(env: Mapping[str, str]) -> str:
    """The region that the environment names."""
    return env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"


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
