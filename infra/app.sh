#!/bin/sh
# The CDK app in its own environment (`make install-infra`); any Python that has aws-cdk-lib will do.
set -eu
python=.venv-infra/bin/python
[ -x "$python" ] || python=python3
exec "$python" -m infra.app
