"""
What may be chosen at deploy time: the `fanout:…` keys of cdk.json's context, checked.

`cdk deploy -c fanout:memory=1024` overrides one. A wrong key or value is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

PREFIX = "fanout:"
LATEST_PYTHON: Final = "3.14"

# AWS's published layer, by architecture; 1.0.0. https://github.com/awslabs/aws-lambda-web-adapter
ADAPTER_LAYERS = {
    "arm64": "arn:{partition}:lambda:{region}:753240598075:layer:LambdaAdapterLayerArm64:27",
    "x86_64": "arn:{partition}:lambda:{region}:753240598075:layer:LambdaAdapterLayerX86:27",
}


class BadContext(ValueError):
    """The context is wrong; the message names the key and what it may be."""


class GatewayProps(BaseModel):
    """The choices, with their defaults. Sizes in MB, times as named."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    stack: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "Fanout"
    """The stack's name, under which its keys, metrics and dashboard go too; letters, digits, `-`"""

    config: Path = Path("config.aws.yaml")
    """The gateway's config: the same YAML as on a laptop"""

    environment: dict[str, str] = Field(default_factory=dict)
    """Variables of the function, as JSON: what the config's other `os.environ/NAME` stand for"""

    memory: Annotated[int, Field(ge=256, le=10_240)] = 512
    """MB of the function; what waiting costs goes by it"""

    architecture: Literal["arm64", "x86_64"] = "arm64"
    """The function's machine; arm64 costs a fifth less"""

    python: Literal["3.13", "3.14"] = LATEST_PYTHON
    """The function's Python"""

    timeout: Annotated[int, Field(ge=30, le=900)] = 900
    """Seconds after which AWS ends a request; two before it, the caller is told"""

    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Requests at a time, reserved for this function; a new account of ten cannot reserve any"""

    rate: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Requests a second, over which API Gateway answers 429"""

    burst: Annotated[int, Field(ge=1, le=5_000)] = 200
    """How many more it takes at once"""

    bulk: bool = True
    """Jobs: their state machine, functions, bucket and table; `false` leaves all of it out"""

    bulk_memory: Annotated[int, Field(ge=512, le=10_240)] = 1_024
    """MB of a job's worker, which has some 200 lines under way"""

    bulk_timeout: Annotated[int, Field(ge=60, le=900)] = 900
    """Seconds after which a worker hands what is left to the next"""

    bulk_workers: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Workers of a job at once; with the API's requests they share what the account allows"""

    file_days: Annotated[int, Field(ge=30, le=3_650)] = 30
    """Days for which files are kept: what was uploaded, what came of it, what is in the inbox"""

    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731] = 30
    """Days for which the logs are kept"""

    removal: Literal["destroy", "retain"] = "destroy"
    """What `cdk destroy` does with the keys, the logs and the jobs' table; their bucket is kept"""

    alarm_email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None
    """Where alarms are mailed to, once the address has said yes to AWS's first mail"""

    spend_alarm: Annotated[float, Field(gt=0)] = 10.0
    """US dollars an hour, by the config's or the public prices, over which there is an alarm"""

    rollback: bool = False
    """A tenth of the calls meets a new version first, the rest after five minutes without alarm"""

    domain: Annotated[str, Field(pattern=r"^[a-z0-9.-]+\.[a-z]{2,}$")] | None = None
    """A domain of your own; then a CNAME of it must point to the output `DomainTarget`"""

    certificate: Annotated[str, Field(pattern=r"^arn:[^\s]+:acm:[^\s]+$")] | None = None
    """The ARN of its certificate, in the stack's region"""

    cors: Annotated[str, Field(pattern=r"^https?://[^\s/]+$")] | None = None
    """The one origin whose pages may ask, such as `https://app.example.com`"""

    api_log_role: bool = True
    """Make the role by which API Gateway writes logs, one for the whole account and region;
    `false` where there is one"""

    adapter_layer: Annotated[str, Field(pattern=r"^arn:[^\s]+:layer:[^\s]+:\d+$")] | None = None
    """The ARN of another Lambda Web Adapter, such as a copy in your own account"""

    port: Annotated[int, Field(ge=1024, le=65_535)] = 8080
    """Where the adapter finds the app, inside the function"""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = None
    """Where to deploy to; else where the AWS command line would"""

    account: Annotated[str, Field(pattern=r"^\d{12}$")] | None = None
    """Which account; else that of your credentials"""

    @model_validator(mode="after")
    def _domain_needs_certificate(self) -> GatewayProps:
        if (self.domain is None) != (self.certificate is None):
            raise ValueError("`domain` and `certificate` go together")
        return self


def read_props(context: Mapping[str, Any]) -> GatewayProps:
    """The props that the context's `fanout:` keys describe; `BadContext` if one is wrong."""
    given = {k.removeprefix(PREFIX): v for k, v in context.items() if k.startswith(PREFIX)}
    # On the command line everything is text, and nothing is how one takes a choice back.
    given = {name: value for name, value in given.items() if value not in ("", None)}
    for name in given.keys() - GatewayProps.model_fields.keys():
        near = get_close_matches(name, GatewayProps.model_fields, n=1)
        hint = f"; did you mean `{PREFIX}{near[0]}`?" if near else ""
        raise BadContext(f"`{PREFIX}{name}` is unknown{hint}")
    for name in ("log_days", "environment"):
        if isinstance(text := given.get(name), str):
            with suppress(ValueError):
                given[name] = json.loads(text)
    try:
        return GatewayProps.model_validate(given)
    except ValidationError as error:
        said = [f"`{PREFIX}{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in error.errors()]
        raise BadContext("; ".join(said)) from None
