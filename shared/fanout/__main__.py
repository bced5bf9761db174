"""`python -m fanout`."""

import sys

from .cli.main import main

sys.exit(main())
