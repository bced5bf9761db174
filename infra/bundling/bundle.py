"""
One zip for every function, made by uv without Docker: wheels for the target platform, by hash.

The same input gives the same bytes, and so the same asset: no time stamps, not even in byte code.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

from .bytecode import compile_folder

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements" / "lambda.txt"
# Amazon Linux 2023 has glibc 2.34, so wheels for 2.28 run on it.
PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
# What the wheels bring along and no function runs: sources, headers, tests, command-line scripts.
DEAD_WEIGHT = (
    *("bin", ".lock", "**/tests", "**/__pycache__"),
    *("**/*.pxd", "**/*.pyx", "**/*.c", "**/*.h"),
)


def find_uv() -> str:
    """The project's own uv, or the one on the path."""
    for place in (ROOT / ".venv/bin/uv", ROOT / ".venv-infra/bin/uv"):
        if place.exists():
            return str(place)
    if found := shutil.which("uv"):
        return found
    raise RuntimeError("bundling needs uv: run `make install`, or install uv")


def bundle(output: Path, *, architecture: str, python: str, config: str) -> None:
    """Write what the functions need into `output`."""
    subprocess.run(  # noqa: S603
        [
            *(find_uv(), "pip", "install", "--quiet", "--target", str(output)),
            *("--python-platform", PLATFORMS[architecture], "--python-version", python),
            *("--only-binary", ":all:", "--no-compile-bytecode", "--link-mode", "copy"),
            *("--require-hashes", "--requirements", str(REQUIREMENTS)),
        ],
        check=True,
    )
    for pattern in DEAD_WEIGHT:
        for path in sorted(output.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()
    for record in output.glob("*.dist-info"):  # entry points and versions stay, the rest goes
        for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
            (record / name).unlink(missing_ok=True)
    skip = shutil.ignore_patterns("__pycache__", "*.pyc", "cli", "local")
    shutil.copytree(ROOT / "shared" / "fanout", output / "fanout", ignore=skip)
    shutil.copytree(ROOT / "functions", output / "functions", ignore=skip)
    (output / "config.json").write_text(config, encoding="utf-8")
    compile_folder(output, python)


@jsii.implements(cdk.ILocalBundling)
class UvBundling:
    """CDK's door to `bundle`."""

    def __init__(self, **what: str) -> None:
        self._what = what

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        """Bundle into `output_dir`; never falls back to Docker."""
        bundle(Path(output_dir), **self._what)
        return True


def make_code(*, architecture: str, python: str, config: str) -> lambda_.Code:
    """The asset that every function shares."""
    return lambda_.Code.from_asset(
        str(ROOT / "functions"),
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(
            image=cdk.DockerImage.from_registry("no-docker-is-used"),
            local=UvBundling(architecture=architecture, python=python, config=config),
        ),
    )
