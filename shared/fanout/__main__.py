"""The `fanout` command, also as `python -m fanout`."""

import sys


def run() -> int:
    """Run the command; Ctrl-C while its modules load is no error either."""
    try:
        from .cli.main import main

        return main()
    except KeyboardInterrupt:
        sys.stderr.write("fanout: cancelled\n")
        return 130


if __name__ == "__main__":
    sys.exit(run())
