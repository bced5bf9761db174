"""
Builds the zip that every function shares: uv installs wheels for the target platform, without
Docker, and checks their hashes.

The same input gives the same bytes and so the same asset: nothing contains a time stamp.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

from .bytecode import compile_folder
from .strip import strip_file

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements" / "lambda.txt"
HTTPX_REQUIREMENTS = ROOT / "requirements" / "lambda-httpx.txt"
# Amazon Linux 2023 has glibc 2.34, which runs wheels for 2.28.
PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
# What no function runs: the wheels' sources, headers, type stubs, tests, command-line scripts and
# plug-ins, and parts of packages that nothing here imports.
UNUSED = (
    *("bin", ".lock", "**/tests", "**/__pycache__"),
    *("**/*.pxd", "**/*.pyx", "**/*.c", "**/*.h", "**/*.pyi"),
    *("**/pytest_plugin.py", "aws_lambda_powertools/event_handler", "httpx2/websockets"),
    *("pydantic/v1", "pydantic/mypy.py"),
)


def find_uv() -> str:
    """Return the project's own uv, or else the one on the path."""
    for place in (ROOT / ".venv/bin/uv", ROOT / ".venv-infra/bin/uv"):
        if place.exists():
            return str(place)
    if found := shutil.which("uv"):
        return found
    raise RuntimeError("bundling needs uv: run `make install`, or install uv")


def bundle(output: Path, *, architecture: str, python: str, config: str) -> None:
    """Write what the functions need into the folder `output`; `config` is JSON."""
    subprocess.run(  # noqa: S603
        [
            *(find_uv(), "pip", "install", "--quiet", "--target", str(output)),
            *("--python-platform", PLATFORMS[architecture], "--python-version", python),
            *("--only-binary", ":all:", "--no-compile-bytecode", "--link-mode", "copy"),
            *("--require-hashes", *_requirements(config)),
        ],
        check=True,
    )
    for pattern in UNUSED:
        for path in sorted(output.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()
    for library in output.rglob("*.so"):
        strip_file(library)
    for record in output.glob("*.dist-info"):  # entry points and versions are used, these are not
        for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
            (record / name).unlink(missing_ok=True)
    skip = shutil.ignore_patterns("__pycache__", "*.pyc", "cli", "local")
    shutil.copytree(ROOT / "shared" / "fanout", output / "fanout", ignore=skip)
    shutil.copytree(ROOT / "functions", output / "functions", ignore=skip)
    (output / "config.json").write_text(config, encoding="utf-8")
    compile_folder(output, python)


def _requirements(config: str) -> tuple[str, ...]:
    """Return uv's options: httpx is included only if the config chooses it."""
    settings = json.loads(config).get("general_settings") or {}
    files = [REQUIREMENTS]
    if settings.get("http_client", "default") != "default":  # it may be `os.environ/NAME`
        files.append(HTTPX_REQUIREMENTS)
    return tuple(word for path in files for word in ("--requirements", str(path)))


@jsii.implements(cdk.ILocalBundling)
class UvBundling:
    """The bundler that CDK calls instead of starting a Docker container."""

    def __init__(self, **options: str) -> None:
        self._options = options

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        """Bundle into `output_dir`. True: CDK does not need Docker."""
        bundle(Path(output_dir), **self._options)
        return True


def make_code(*, architecture: str, python: str, config: str) -> lambda_.Code:
    """Return the asset that every function shares."""
    return lambda_.Code.from_asset(
        str(ROOT / "functions"),
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(
            image=cdk.DockerImage.from_registry("no-docker-is-used"),
            local=UvBundling(architecture=architecture, python=python, config=config),
        ),
    )
