#!/bin/sh
# The Lambda Web Adapter layer runs this, and sends each invocation as HTTP to $PORT.
cd "${LAMBDA_TASK_ROOT:-.}" || exit 1
exec python3 -m functions.api "${PORT:-8080}"
