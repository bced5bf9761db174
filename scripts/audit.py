"""
`make audit`: looks up every locked version at osv.dev with pip-audit, and says what it could not.

Exit codes: 0 all looked up and no vulnerability known, 1 some known (they are listed), 2 none
known, but some Python packages were not looked up. What is never looked up is listed at the end.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
OPTIONS = ["--vulnerability-service", "osv", "--disable-pip", "--require-hashes"]
OPTIONS += ["--progress-spinner", "off", "--format", "json"]
LOCKED = re.compile(r"^([\w.-]+)(?:\[[\w,.-]+\])?==([^\s;\\]+)", re.MULTILINE)
SHOWN = 200
"""Characters of pip-audit's message."""


def main(arguments: Sequence[str]) -> int:
    """Audit every lock file, with the pip-audit at the given path or beside this Python."""
    tool = arguments[0] if arguments else str(Path(sys.executable).with_name("pip-audit"))
    known, missed, total = 0, 0, 0
    for lock in LOCKS:
        locked = {_named(*found) for found in LOCKED.findall(lock.read_text())}
        total += len(locked)
        packages = _audited(tool, lock)
        checked = {_named(one["name"], one["version"]) for one in packages if "version" in one}
        wrong = [one for one in packages if one.get("vulns")]
        for one in wrong:
            ids = ", ".join(found["id"] for found in one["vulns"])
            print(f"{lock.name}: {one['name']} {one['version']}: {ids}")
        print(f"{lock.name}: {len(checked)} packages, {len(wrong)} with known vulnerabilities")
        if rest := sorted(locked - checked):
            print(f"{lock.name}: NOT LOOKED UP: {len(rest)} packages: {', '.join(rest)}")
        known += len(wrong)
        missed += len(rest)
    print(f"{total - missed} of {total} locked versions looked up, {known} vulnerable")
    if missed == total:
        print("make audit needs the network: NO PACKAGE has been looked up")
    for what in _never():
        print(f"never looked up: {what}")
    return 1 if known else 2 if missed else 0


def _audited(tool: str, lock: Path) -> list[dict[str, Any]]:
    """What pip-audit reports of each package; nothing if it fails, which is printed."""
    command = [tool, *OPTIONS, "-r", str(lock)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except OSError as error:
        print(f"{lock.name}: pip-audit cannot be started: {error.strerror}")
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        print(f"{lock.name}: pip-audit failed: {last[0][:SHOWN]}")
    else:
        for one in packages:
            if reason := one.get("skip_reason"):
                print(f"{lock.name}: {one['name']} skipped: {reason[:SHOWN]}")
        return packages
    return []


def _named(name: str, version: str) -> str:
    return f"{re.sub(r'[-_.]+', '-', name).lower()} {version}"


def _never() -> list[str]:
    """What has no lock file of Python."""
    npm = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    return [
        f"the {len(npm) - 1} npm packages of package-lock.json, which no wheel contains",
        "Node.js and Chromium, the weights of the local model, the base images of AWS",
        "vulnerabilities that osv.dev does not know",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
