"""Ends what a killed command leaves behind. Run as a process of its own, by its path.

Without `PREFECT_API_URL` a flow starts a Prefect server for the time being, and stops it when it
is through. A command that is killed with SIGKILL cannot do that. So this waits for its end, however
it comes, which closes the pipe between them; gives what it started a while to end; then ends it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from functools import cache
from typing import Final

import psutil

MARK: Final = "REFOLD_COMMAND"
"""Environment variable that everything a command starts inherits."""

GRACE: Final = 10.0
"""Seconds that processes have to end by themselves; an orderly command's do."""


@cache
def start() -> subprocess.Popen[bytes]:
    """Have this process watched, whose Ray and Prefect server are to end with it; once is enough.

    Returns:
        The watcher. Its standard input is to stay open as long as this process lives.
    """
    os.environ[MARK] = uuid.uuid4().hex
    return subprocess.Popen(  # noqa: S603 - nothing of it is anyone's input
        [sys.executable, __file__, os.environ[MARK], str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it
    )


def left_behind(mark: str, but: set[int]) -> list[psutil.Process]:
    """The processes that bear a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in but and process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:  # not ours, or gone
            continue
    return found


def main(mark: str, command: str) -> None:
    """Wait for the command's end, then see to it that nothing of it is left."""
    sys.stdin.buffer.read()
    but = {os.getpid(), int(command)}
    deadline = time.monotonic() + GRACE
    while left := left_behind(mark, but):
        if time.monotonic() > deadline:
            for process in left:
                process.terminate()
            psutil.wait_procs(left, timeout=GRACE)
            for process in left_behind(mark, but):
                process.kill()
            return
        time.sleep(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
