"""The catalog: the only truth about what is done.

`<archive>/catalog/renditions` holds one row for each source and target, whatever became of it, so
that one commit per shard is atomic over all its outcomes. `<archive>/catalog/runs` holds one row
for each run.
"""

from __future__ import annotations

from tasks.catalog.rows import Archived, CatalogRow, Kept, Quarantined, State
from tasks.catalog.schema import LIGHT, RENDITIONS, RUNS, RunRecord
from tasks.catalog.table import Catalog, open_catalog

__all__ = [
    "LIGHT",
    "RENDITIONS",
    "RUNS",
    "Archived",
    "Catalog",
    "CatalogRow",
    "Kept",
    "Quarantined",
    "RunRecord",
    "State",
    "open_catalog",
]
