"""Nothing that Refold uses tells anybody that it is used."""

from __future__ import annotations

import os
from typing import Final

SILENT: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""The libraries' own settings. OpenVINO has none: see `rescaling_core.engine`."""


def send_nothing() -> None:
    """Set them for this process and those it starts; to be called before they are imported.

    What the owner has set stays.
    """
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)
