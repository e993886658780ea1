"""Processes forked from one that has run flows."""

from __future__ import annotations

import subprocess
import sys

from tests.command import REPOSITORY

PROGRAM = """
import multiprocessing
import time

import flows
from prefect._internal.concurrency.services import QueueService

handled = []


class Service(QueueService[int]):
    async def _handle(self, item: int) -> None:
        handled.append(item)


Service.instance().send(1)
while not handled:
    time.sleep(0.01)
child = multiprocessing.get_context("fork").Process(target=print, args=("its work is done",))
child.start()
child.join()
print("code", child.exitcode, flush=True)
Service.instance().send(2)
"""


def test_a_fork_ends_well_and_this_process_still_drains_its_services() -> None:
    said = PROGRAM + "import atexit; atexit.register(lambda: print('handled', handled))"
    ran = subprocess.run(
        [sys.executable, "-c", said], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ran.stdout.splitlines() == ["its work is done", "code 0", "handled [1, 2]"], ran.stderr
