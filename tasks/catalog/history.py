"""Which rows of a source count, and which of them it is best restored from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rescaling_core.errors import MetadataError
from rescaling_core.plan import Floor, Target
from tasks.catalog import CatalogRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.catalog import CatalogRow, RunRecord


def trust(row: CatalogRow) -> tuple[bool, float]:
    """How well a source is restored from a rendition, to compare with others of the source.

    What was made from a restored image was measured against that, which says nothing of how far
    that was from the source: any rendition made from the source itself goes before it.
    """
    return row.origin != "restored image", row.psnr_y or 0.0


def restorable(rows: Sequence[CatalogRow]) -> tuple[CatalogRow, ...]:
    """Those to rely on, every one of which is to be restored and compared.

    They are no previews, and were made from the source itself.
    """
    return tuple(
        row
        for row in rows
        if not Target.parse(row.target).preview_only and row.origin != "restored image"
    )


def floors_of(runs: Iterable[RunRecord]) -> Mapping[tuple[str, str], Floor]:
    """The floor that runs had for their targets, by run id and target.

    Runs that recorded no plan (backfill, scrub) or no row at all (killed ones) have none here; what
    they archived is then held against what was measured when it was.
    """
    floors: dict[tuple[str, str], Floor] = {}
    for run in runs:
        plan: dict[str, Any] = run.parameters.get("plan") or {}
        try:
            for target in plan.get("targets", ()):
                # The margin was for another device's rounding, which is what is measured now.
                floor = Floor(**target["floor"]).without_margins()
                floors[run.run_id, Target(**target["target"]).name] = floor
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise MetadataError(f"catalog: plan of run {run.run_id}: {error}") from error
    return floors
