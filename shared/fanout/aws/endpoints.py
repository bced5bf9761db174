"""The region of the process, and calls to AWS's services."""

from __future__ import annotations

from collections.abc import Mapping

from ..config.connection import region_of
from ..transport.credentials import Signer
from ..transport.engine import Engine, Outgoing
from ..wire.http import WireResponse


def own_region(env: Mapping[str, str]) -> str:
    """The region of the process, by its environment."""
    return region_of(env) or "us-east-1"


async def send_signed(
    engine: Engine, signer: Signer, service: str, region: str, request: Outgoing
) -> WireResponse:
    """Send a request with the signature of the process's credentials; raises what these raise."""
    signed = await signer.headers(request, service, region)
    headers = {**request.headers, **signed}
    return await engine.send(Outgoing(request.method, request.url, headers, request.body))
