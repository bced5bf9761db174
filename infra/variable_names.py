"""The names of environment variables that a Lambda function may have."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_RESERVED = """
    _HANDLER _X_AMZN_TRACE_ID AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_EXECUTION_ENV
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_NAME AWS_LAMBDA_FUNCTION_VERSION
    AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_LOG_STREAM_NAME
    AWS_LAMBDA_RUNTIME_API AWS_REGION AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN LAMBDA_RUNTIME_DIR
    LAMBDA_TASK_ROOT
"""
RESERVED = frozenset(_RESERVED.split())
"""
Environment variables that Lambda sets itself and rejects:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime.
"""


def _check_names(variables: dict[str, str]) -> dict[str, str]:
    for name in variables:
        if name in RESERVED:
            raise ValueError(f"`{name}` is set by Lambda itself; choose another name")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]+", name):
            raise ValueError(
                f"`{name}` is no name of a variable: use at least two letters, digits or `_`, and "
                "begin with a letter"
            )
    return variables


Variables = Annotated[dict[str, str], AfterValidator(_check_names)]
