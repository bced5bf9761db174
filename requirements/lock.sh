#!/bin/sh
# lock.sh UV: writes the lock files, with exact versions and hashes, and without index addresses.
set -eu
uv=${1:-uv}
python=3.11
compile() {
  "$uv" pip compile -q --universal --python-version "$python" --generate-hashes --no-emit-index-url \
    --no-header --upgrade "$@"
}
compile bootstrap.in -o bootstrap.txt
compile ../pyproject.toml --extra aws --extra local --extra vertex --extra parquet --extra otel --extra postgres --group ../pyproject.toml:dev dev.in -o dev.txt
compile build.in -c dev.txt -o build.txt # the versions that the tests build with
compile ../pyproject.toml --extra local run.in -c dev.txt -o run.txt
compile ../pyproject.toml -o runtime.txt
compile infra.in -o infra.txt
compile clients.in -o clients.txt
compile clients-openai2.in -o clients-openai2.txt
compile bench.in --excludes bench-without.in --overrides bench-overrides.in -o bench.txt
compile first-hour.in -o first-hour.txt
compile browser.in -o browser.txt
compile audit.in -o audit.txt
python=3.13  # the oldest that the functions may be deployed with
compile lambda.in -c dev.txt -o lambda.txt  # the versions that the tests run with
compile lambda-httpx.in -c dev.txt -o lambda-httpx.txt
