"""How many pixels a restoration may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rescaling_core.errors import MetadataError
from rescaling_core.plan import DEFAULT_MAX_PIXELS
from tasks.catalog import Catalog
from tasks.settings import current

if TYPE_CHECKING:
    from tasks.catalog import RunRecord
    from tasks.storage import Store

_MOST_PLANNED: Final = 2**32
"""The most that a catalog may state: it may come from anybody, a variable may not."""


def pixel_limit(archive: Store | None = None) -> int:
    """Width × height above which nothing is restored.

    It is what the setting `max_pixels` says; else the largest limit of the plans that an archive
    was made with, and a plan's own default at least.

    Args:
        archive: The archive; None for an LR file by itself.

    Raises:
        UsageError: A variable of the environment has a value it cannot have.
    """
    if (stated := current().max_pixels) is not None:
        return stated
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
