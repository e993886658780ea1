"""Runs code in a process of its own that may take little memory and little time."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Final

import rescaling_core.errors as known

MEMORY: Final = 300 * 2**20
"""Bytes of address space that the code may take beyond what its imports took."""

SECONDS: Final = 3
"""Seconds of CPU, which the system counts in whole ones; then it ends the process."""

_FRAME: Final = """
import resource, sys, time
import torch
import rescaling_core.restore
from rescaling_core.errors import RefoldError
torch.set_num_threads(1)
{before}
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + {memory}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
used = int(time.process_time()) + 1
resource.setrlimit(resource.RLIMIT_CPU, (used + {seconds}, used + {seconds}))
try:
{code}
except RefoldError as error:
    assert "\\n" not in str(error), str(error)
    print(type(error).__name__)
else:
    sys.exit("nothing was refused")
"""


def refused_within_limits(code: str, *, before: str = "") -> type[Exception]:
    """The class of the error that the code is refused with.

    Args:
        code: Python that raises one of ours.
        before: What is run first, without limits.
    """
    script = _FRAME.format(
        before=textwrap.dedent(before),
        code=textwrap.indent(textwrap.dedent(code), "    "),
        memory=MEMORY,
        seconds=SECONDS,
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, f"{ended.returncode}: {ended.stderr[-2000:]}"
    found: type[Exception] = getattr(known, ended.stdout.strip().splitlines()[-1])
    return found
