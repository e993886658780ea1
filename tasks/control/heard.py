"""Whether anybody besides the one who typed a command wants to hear of its run."""

from __future__ import annotations

import os

from tasks.settings import current


def is_heard_of() -> bool:
    """Whether a server of Prefect's or a monitor is told of every run, however little it does."""
    told = current()
    return bool(
        os.environ.get("PREFECT_API_URL")
        or told.metrics_listen
        or told.metrics_folder
        or told.traces
    )
