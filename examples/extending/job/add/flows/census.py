"""The census job: what became of the sources of an archive, in numbers."""

from __future__ import annotations

from prefect import flow

from tasks.control import opening
from tasks.jobs.census.steps import count_renditions


@flow(name="census")
def census(archive: str) -> dict[str, dict[str, int]]:
    """Count the renditions of an archive by target and state.

    Args:
        archive: URL or path of the archive.

    Raises:
        UsageError: No archive there.
    """
    return count_renditions(opening.open_archive(archive))
