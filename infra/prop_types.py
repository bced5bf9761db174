"""The texts among the deploy-time options: what each must match, with an example for errors."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field


def _text(pattern: str, example: str) -> Any:
    """Describe a text that must match the pattern, with an example for error messages."""
    return Field(pattern=pattern, examples=[example])


StackName = Annotated[str, _text(r"^[A-Za-z][A-Za-z0-9-]{0,63}$", "Fanout")]
Email = Annotated[str, _text(r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "ops@example.com")]
Domain = Annotated[str, _text(r"^[a-z0-9.-]+\.[a-z]{2,}$", "llm.example.com")]
CertificateArn = Annotated[
    str,
    _text(r"^arn:[^\s]+:acm:[^\s]+$", "arn:aws:acm:eu-west-1:111111111111:certificate/0"),
]
Origin = Annotated[str, _text(r"^https?://[^\s/]+$", "https://app.example.com")]
LayerArn = Annotated[
    str,
    _text(r"^arn:[^\s]+:layer:[^\s]+:\d+$", "arn:aws:lambda:eu-west-1:111111111111:layer:Mine:1"),
]
VpcId = Annotated[str, _text(r"^vpc-[0-9a-f]{8,17}$", "vpc-0123456789abcdef0")]
SubnetIds = Annotated[
    str,
    _text(
        r"^subnet-[0-9a-f]{8,17}(, ?subnet-[0-9a-f]{8,17}){0,15}$",
        "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    ),
]
InstanceTypes = Annotated[
    str,
    _text(
        r"^[cmr]\d[a-z0-9-]*\.\d*x?large(, ?[cmr]\d[a-z0-9-]*\.\d*x?large)*$",
        "m7g.large,m8g.large",
    ),
]
Region = Annotated[str, _text(r"^[a-z]{2}(-[a-z]+)+-\d$", "eu-west-1")]
AccountId = Annotated[str, _text(r"^\d{12}$", "111111111111")]
