#!/bin/sh
# Started by the Lambda Web Adapter layer, which turns invocations into HTTP on $PORT.
cd "${LAMBDA_TASK_ROOT:-.}" || exit 1
exec python3 -m functions.api "${PORT:-8080}"
