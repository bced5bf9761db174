"""The CDK app: context to props, one stack. No account, no network, no Docker at synth."""

from __future__ import annotations

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from .props import BadContext, read_props
from .stack import GatewayStack


def main() -> None:
    """Synthesise the stack, checked against cdk-nag's AwsSolutions rules."""
    app = cdk.App()
    try:
        props = read_props(app.node.get_all_context())
        GatewayStack(app, props.stack, props)
    except BadContext as error:
        sys.exit(f"fanout: {error}")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks())
    app.synth()


if __name__ == "__main__":
    main()
