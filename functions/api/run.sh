#!/bin/sh
# The Lambda Web Adapter layer runs this, and sends each invocation as HTTP to $PORT.
cd "${LAMBDA_TASK_ROOT:-.}" || exit 1
# Unbuffered (-u): the process may be frozen after each response, or never run again.
exec python3 -u -m functions.api.web_adapter "${PORT:-8080}"
