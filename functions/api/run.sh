#!/bin/sh
# Started by the Lambda Web Adapter layer, which turns invocations into HTTP on $PORT.
cd "${LAMBDA_TASK_ROOT:-.}" || exit 1
exec python3 -m uvicorn functions.api.app:app \
  --host 127.0.0.1 --port "${PORT:-8080}" --log-level warning --no-access-log --no-server-header \
  --timeout-graceful-shutdown 2
