"""
`make audit`: ask osv.dev, by pip-audit, whether a locked version is known to be vulnerable.

0: none is. 1: some are, and they are listed. 2: nobody could be asked, so nothing has been audited.
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
            last = done.stderr.strip().splitlines()[-1:] or ["no answer"]
            print(f"{lock.name}: NOT AUDITED: osv.dev could not be asked ({last[0][:200]})")
            print("make audit needs the network: nothing is known of any package")
            return 2
        wrong = [one for one in packages if one.get("vulns")]
        for one in wrong:
            ids = ", ".join(found["id"] for found in one["vulns"])
            print(f"{lock.name}: {one['name']} {one['version']}: {ids}")
        print(f"{lock.name}: {len(packages)} packages, {len(wrong)} known to be vulnerable")
        worst = max(worst, int(bool(wrong)))
    return worst


if __name__ == "__main__":
    sys.exit(main())
