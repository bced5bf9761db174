"""
`make audit`: checks with pip-audit whether osv.dev lists vulnerabilities of a locked version.

Exit codes: 0 none found, 1 some found (they are listed), 2 osv.dev could not be reached.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
AUDIT = [Path(sys.executable).with_name("pip-audit"), "--vulnerability-service", "osv"]
AUDIT += ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]


def main() -> int:
    """Audit every lock file."""
    worst = 0
    for lock in LOCKS:
        done = subprocess.run([*AUDIT, "-r", lock], capture_output=True, text=True, check=False)
        try:
            packages = json.loads(done.stdout)["dependencies"]
        except ValueError:
            last = done.stderr.strip().splitlines()[-1:] or ["no output"]
            print(f"{lock.name}: NOT AUDITED: osv.dev could not be reached ({last[0][:200]})")
            print("make audit needs the network; no package has been checked")
            return 2
        wrong = [one for one in packages if one.get("vulns")]
        for one in wrong:
            ids = ", ".join(found["id"] for found in one["vulns"])
            print(f"{lock.name}: {one['name']} {one['version']}: {ids}")
        print(f"{lock.name}: {len(packages)} packages, {len(wrong)} with known vulnerabilities")
        worst = max(worst, int(bool(wrong)))
    return worst


if __name__ == "__main__":
    sys.exit(main())
