"""
Amazon Bedrock: the role's or the environment's AWS credentials, or a Bedrock API key.

Where the key is there, it goes out as a bearer token and nothing is signed.
"""

from __future__ import annotations

from ..base import Provider, SigV4
from .chat import CODEC
from .errors import explain

PROVIDER = Provider(
    name="bedrock",
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    keys=("AWS_BEARER_TOKEN_BEDROCK",),
    chat=CODEC,
    explain=explain,
    auth=SigV4("bedrock"),
    key_optional=True,
    billing="continues",
)
