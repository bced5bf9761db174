"""The CDK app: reads the context and makes one stack. Synth needs no account, network or Docker."""

from __future__ import annotations

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from .context import read_props
from .props import ContextError
from .stack import GatewayStack


def add_stack(app: cdk.App) -> GatewayStack:
    """Add the stack that the app's context describes, checked by cdk-nag's AwsSolutions rules."""
    props = read_props(app.node.get_all_context())
    stack = GatewayStack(app, props.stack, props)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks())
    return stack


def main() -> None:
    """Synthesize the stack, or exit with one line that says what is wrong with the context."""
    app = cdk.App()
    try:
        add_stack(app)
    except ContextError as error:
        sys.exit(f"fanout: {error}")
    app.synth()


if __name__ == "__main__":
    main()
