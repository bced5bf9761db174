"""For every test: no proxy of the machine's stands between it and its own servers."""

from __future__ import annotations

import os

for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
    os.environ.pop(name, None)
    os.environ.pop(name.lower(), None)
