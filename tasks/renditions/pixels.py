"""How many pixels a restoration may have."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from rescaling_core.errors import MetadataError, UsageError
from rescaling_core.plan import DEFAULT_MAX_PIXELS
from tasks.catalog import Catalog

if TYPE_CHECKING:
    from tasks.catalog import RunRecord
    from tasks.storage import Store

PIXELS_VARIABLE: Final = "REFOLD_MAX_PIXELS"
"""Environment variable that sets the limit of `pixel_limit`."""

_MOST_PLANNED: Final = 2**32
"""The most that a catalog may state: it may come from anybody, a variable may not."""


def pixel_limit(archive: Store | None = None) -> int:
    """Width × height above which nothing is restored.

    It is what `REFOLD_MAX_PIXELS` says; else the largest limit of the plans that an archive was
    made with, and a plan's own default at least.

    Args:
        archive: The archive; None for an LR file by itself.

    Raises:
        UsageError: The variable is not a number.
    """
    if (stated := os.environ.get(PIXELS_VARIABLE)) is not None:
        if not re.fullmatch("[1-9][0-9]{0,11}", stated):
            raise UsageError(f"{PIXELS_VARIABLE}={stated!r:.80}: a whole number of pixels")
        return int(stated)
    catalog = None if archive is None else Catalog(archive)
    if catalog is None or not catalog.exists():
        return DEFAULT_MAX_PIXELS
    return max([DEFAULT_MAX_PIXELS, *map(_planned, catalog.runs())])


def _planned(run: RunRecord) -> int:
    """The limit of the plan of a run, as far as it had one and that can be read."""
    try:
        plan = run.parameters.get("plan")
    except MetadataError:
        return 0
    pixels = plan.get("max_pixels") if isinstance(plan, dict) else None
    return min(pixels, _MOST_PLANNED) if isinstance(pixels, int) else 0
