"""What every Lambda function of the stack has in common: runtime, architecture and environment."""

from __future__ import annotations

from aws_cdk import aws_lambda as lambda_

from .props import ContextError, GatewayProps

RUNTIMES = {"3.13": lambda_.Runtime.PYTHON_3_13, "3.14": lambda_.Runtime.PYTHON_3_14}
ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}


def function_environment(props: GatewayProps, secret_prefix: str) -> dict[str, str]:
    """Return the variables of every function: `fanout:environment` and the stack's own."""
    variables = {
        "FANOUT_CONFIG": "config.json",
        "FANOUT_SECRET_PREFIX": secret_prefix,
        "FANOUT_SERVICE": secret_prefix[:-1],
        "POWERTOOLS_SERVICE_NAME": secret_prefix[:-1],
    }
    return props.environment | reserved(props, variables)


def reserved(props: GatewayProps, variables: dict[str, str]) -> dict[str, str]:
    """Return the stack's own `variables`, or raise if `fanout:environment` sets one of them."""
    for name in sorted(variables.keys() & props.environment.keys()):
        raise ContextError(f"`fanout:environment`: the stack sets `{name}` itself; remove it")
    return variables
