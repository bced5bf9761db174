"""
What the API function costs on Lambda Managed Instances, with the stack's defaults.

Computed from list prices: three instances, the least that Lambda starts, of the smallest type with
the memory for an environment, and one NAT gateway with its address.
"""

from __future__ import annotations

from infra.props import GatewayProps

from . import prices
from .monthly_cost import LOG_BYTES, MILLION, MONTH, RESPONSE_BYTES, compute

INSTANCES = 3
NAT_BYTES = LOG_BYTES + 2 * RESPONSE_BYTES
"""Of a request: its log lines, the call to the provider and the response, each once."""

HOURS = MONTH / 3600


def idle() -> float:
    """Return a month's cost without a request; the instances run all the time."""
    instances = INSTANCES * prices.INSTANCE.dollars * (1 + prices.FEE.dollars)
    return (instances + prices.NAT.dollars + prices.ADDRESS.dollars) * HOURS


def per_request(requests: float) -> float:
    """Return what depends on the number of requests, as far as it differs from Lambda's."""
    data = requests * NAT_BYTES / 1e9 * prices.NAT_DATA.dollars
    return requests / MILLION * prices.INVOCATION.dollars + data


def break_even(memory: int, seconds: float) -> float:
    """Return the requests a month for which both cost the same; Lambda has `memory` MB."""
    return idle() / (compute(1, memory, seconds) - per_request(1))


def most(seconds: float) -> float:
    """Return the requests a second that the environments that always run take in."""
    options = GatewayProps(compute="managed-instances")
    return options.environments * options.instance_requests / seconds
