"""What Prefect and Ray say, as far as users need not hear it."""

from __future__ import annotations

import os
from typing import Final

# Read when Prefect and Ray are first imported, which the commands do as late as they can.
_QUIET: Final = {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def quiet_libraries(*, verbose: bool = False) -> None:
    """Set the libraries' own knobs, where the user has not; before they are imported."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if verbose:
        os.environ["PREFECT_LOGGING_LEVEL"] = "INFO"
