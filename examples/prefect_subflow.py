"""A flow of one's own with `archive` as a subflow: prefect_subflow.py ARCHIVE FOLDER ...

Each folder, such as a year, gets an archive of its own; what went wrong is told at the end.
"""

import sys
from pathlib import Path

from prefect import flow, get_run_logger

from flows.archive import archive
from tasks.plans.options import PlanOptions


@flow(name="archive-years")
def archive_years(folders: list[str], archives: str) -> dict[str, int]:
    """Archive several folders, one after the other; returns bytes stored for each."""
    stored = {}
    for folder in folders:
        name = Path(folder).name
        summary = archive(
            source=folder,
            archive=f"{archives}/{name}",
            options=PlanOptions(targets=("long-edge=128",)),
        )
        stored[name] = summary.stored_bytes
        if summary.quarantined:
            get_run_logger().warning("%s: %d in quarantine", name, summary.quarantined)
    return stored


if __name__ == "__main__":
    print(archive_years(sys.argv[2:], sys.argv[1]))
