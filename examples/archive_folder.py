"""Archive a folder or a bucket: archive_folder.py SOURCE ARCHIVE.

Run it again, and only what is new or changed is converted.
"""

import sys

from flows.archive import archive
from tasks.plans.options import PlanOptions


def main() -> None:
    """Archive, and say what became of the sources."""
    source, into = sys.argv[1:]
    options = PlanOptions(preset="thumbnails")  # or "balanced", with floor=("psnr_y=36",)
    summary = archive(source=source, archive=into, options=options)
    print(f"{summary.archived} archived, {summary.kept} kept, {summary.quarantined} in quarantine")
    print(f"{summary.source_bytes} bytes became {summary.stored_bytes}")


if __name__ == "__main__":  # workers import this file too
    main()
