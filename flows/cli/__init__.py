"""The `refold` command."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Run the command: see `flows.cli.app.main`.

    Importing it takes a second. A signal meanwhile would end it in the middle of that, with a
    traceback of wherever the import was.
    """
    for number in _ENDING:
        # What nohup or a shell's `&` made ignored stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from flows.cli.app import main as command

    command()


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    name = signal.Signals(number).name
    os.write(2, f"refold: ended by {name} before anything was begun\n".encode())
    os._exit(128 + number)
