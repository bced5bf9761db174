"""What uvicorn serves."""

from __future__ import annotations

from ..app import app as inner
from .app import BehindAdapter

app = BehindAdapter(inner)
