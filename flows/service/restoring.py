"""The process of one job: `refold restore` with what its standard input says.

On a command line, thousands of keys would have no room.
"""

from __future__ import annotations

import json
import sys

from flows.cli import main as refold


def main() -> None:
    """Read an order and restore; its result is printed as `refold restore --json` prints it."""
    asked = json.load(sys.stdin)
    target = [] if asked["target"] is None else ["--target", asked["target"]]
    sys.argv = ["refold", "restore", "--json", *target, "--", asked["archive"], asked["dest"]]
    sys.argv += asked["keys"]
    refold()


if __name__ == "__main__":
    main()
