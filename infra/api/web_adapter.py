"""
AWS's published layer of the Lambda Web Adapter: the newest version, and where it exists.

Version 1.1.0 of 2026-09-18 is layer version 30: https://github.com/aws/aws-lambda-web-adapter
(issue 871). The regions and accounts are those of its release workflow (`prod.json` and
`cn-prod.json`, 2026-11), which does not release to me-south-1 since 1.0.0.
"""

from __future__ import annotations

from aws_cdk import Stack

from ..props import ContextError, GatewayProps

VERSION = 30
NAMES = {"arm64": "LambdaAdapterLayerArm64", "x86_64": "LambdaAdapterLayerX86"}

_COMMERCIAL = """
    af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1
    ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5
    ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1
    eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 mx-central-1
    sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2
"""
ACCOUNTS = dict.fromkeys(_COMMERCIAL.split(), "753240598075") | {
    "cn-north-1": "041581134020",
    "cn-northwest-1": "069767869989",
}
"""The account that publishes the layer, by region."""


def layer_arn(stack: Stack, props: GatewayProps, region: str | None) -> str:
    """
    Return the layer's ARN in the stack's region.

    Raises `ContextError` if there is none in `region`. An unknown region counts as commercial.
    """
    if props.adapter_layer:
        return props.adapter_layer
    if region and region not in ACCOUNTS:
        raise ContextError(
            f"AWS publishes no Lambda Web Adapter in the region `{region}`: set "
            "`fanout:adapter_layer` to a copy in your own account, or `fanout:region` to one of "
            f"{', '.join(sorted(ACCOUNTS))}"
        )
    account = ACCOUNTS[region or "us-east-1"]
    name = f"{NAMES[props.architecture]}:{VERSION}"
    return f"arn:{stack.partition}:lambda:{stack.region}:{account}:layer:{name}"
