"""The CDK app: context to props, one stack. No account, no network, no Docker at synth."""

from __future__ import annotations

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from .props import BadContext, read_props
from .stack import GatewayStack


def add_stack(app: cdk.App) -> GatewayStack:
    """The stack that the app's context asks for, checked against cdk-nag's AwsSolutions rules."""
    props = read_props(app.node.get_all_context())
    stack = GatewayStack(app, props.stack, props)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks())
    return stack


def main() -> None:
    """Synthesise it."""
    app = cdk.App()
    try:
        add_stack(app)
    except BadContext as error:
        sys.exit(f"fanout: {error}")
    app.synth()


if __name__ == "__main__":
    main()
