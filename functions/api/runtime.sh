#!/bin/sh
# AWS's Python runtime runs this wrapper (AWS_LAMBDA_EXEC_WRAPPER) with its interpreter as the first
# argument. The loop in functions/api then takes the place of AWS's own client, which cannot stream.
cd "${LAMBDA_TASK_ROOT:-.}" || exit 1
# Unbuffered (-u): the process may be frozen after each response, or never run again.
exec "$1" -u -m functions.api
