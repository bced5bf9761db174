#!/bin/sh
# Runs the CDK app in .venv-infra (`make install-infra`), or with any python3 that has aws-cdk-lib.
set -eu
python=.venv-infra/bin/python
[ -x "$python" ] || python=python3
exec "$python" -m infra.app
