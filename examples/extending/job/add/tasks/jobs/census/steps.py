"""The step of a census: how many renditions of each target are in which state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task

from tasks.control.retries import RETRIED

if TYPE_CHECKING:
    from tasks.catalog import Catalog


@task(name="count renditions", **RETRIED)
def count_renditions(catalog: Catalog) -> dict[str, dict[str, int]]:
    """Count the rows of a catalog by target and state."""
    return {target: dict(states) for target, states in catalog.counts().items()}
