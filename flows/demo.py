"""`make demo`: archive a folder of real photographs, restore them all, leave a page to look at."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table

from flows.cli.app import quiet_libraries
from flows.cli.console import err, out, progress_bar
from tasks.pages.gallery import GalleryRow, render_gallery
from tasks.pages.words import size_text

if TYPE_CHECKING:
    from tasks.catalog import CatalogRow

OUTPUT: Final = Path("demo-output")
TARGETS: Final = ("x2", "x4")

PHOTOGRAPHS: Final = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
"""Samples that come with scikit-image, as the files they are; see its `data/README.txt`."""


def main() -> None:
    """Run the demo in `demo-output`, which is emptied first."""
    quiet_libraries()
    started = time.monotonic()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    photos = copy_photographs(OUTPUT / "photos")
    err.print(f"{len(photos)} photographs in {OUTPUT / 'photos'}; starting Prefect and Ray ...")
    rows = archive_and_restore()
    page = OUTPUT / "index.html"
    page.write_text(render_gallery("Refold: HR, LR, restored", rows), "utf-8")
    print_table(rows)
    out.print(f"\narchive   {OUTPUT / 'archive'}    (LR images, catalog)")
    out.print(f"restored  {OUTPUT / 'restored'}")
    out.print(f"page      {page}    (HR / LR / restored side by side: open it in a browser)")
    out.print(f"{time.monotonic() - started:.0f} s in all")


def copy_photographs(folder: Path) -> list[Path]:
    """Copy the sample files, byte for byte.

    Raises:
        SystemExit: scikit-image is not installed.
    """
    try:
        import skimage.data
    except ImportError:
        sys.exit("the demo's photographs come with scikit-image: pip install 'refold[demo]'")
    samples = Path(skimage.data.__file__).parent
    folder.mkdir(parents=True)
    for name in PHOTOGRAPHS:
        shutil.copyfile(samples / name, folder / name)
    return sorted(folder.iterdir())


def archive_and_restore() -> list[GalleryRow]:
    """Run the two flows, and gather what the catalog says afterwards."""
    from flows.archive import archive
    from flows.restore import restore
    from tasks.cluster.session import ray_session
    from tasks.plans.options import PlanOptions

    store = str(OUTPUT / "archive")
    restored: dict[tuple[str, str], str] = {}
    with ray_session():  # one for all three runs
        with progress_bar("archive"):
            archive(
                source=str(OUTPUT / "photos"), archive=store, options=PlanOptions(targets=TARGETS)
            )
        for target in TARGETS:
            folder = OUTPUT / "restored" / target
            with progress_bar(f"restore {target}"):
                summary = restore(archive=store, dest=str(folder), target=target)
            if summary.failures:
                sys.exit(f"restoring failed: {summary.failures[0]}")
            for output in summary.outputs:
                restored[output.source_key, target] = f"restored/{target}/{output.output_key}"
    return _gallery_rows(store, restored)


def _gallery_rows(store: str, restored: dict[tuple[str, str], str]) -> list[GalleryRow]:
    from tasks.catalog import open_catalog
    from tasks.storage import open_store

    rows = sorted(
        open_catalog(open_store(store), create=False).rows(),
        key=lambda row: (row.source_key, row.target),
    )
    return [_gallery_row(row, restored.get((row.source_key, row.target))) for row in rows]


def _gallery_row(row: CatalogRow, restored_path: str | None) -> GalleryRow:
    from tasks.catalog import Archived, Quarantined

    stored = row if isinstance(row, Archived) else None
    made = None if isinstance(row, Quarantined) else row
    return GalleryRow(
        key=row.source_key,
        target=row.target,
        state=row.state,
        reason="" if isinstance(row, Archived) else row.reason,
        width=(made.width if made else None) or 0,
        height=(made.height if made else None) or 0,
        source_bytes=row.source_size,
        lr_bytes=stored.lr_bytes if stored else None,
        psnr_y=row.psnr_y,
        ssim_y=row.ssim_y,
        rescaler=(made.rescaler if made else None) or "",
        seconds=row.seconds,
        source_path=f"photos/{row.source_key}",
        lr_path=f"archive/{stored.lr_key}" if stored else None,
        restored_path=restored_path,
    )


def print_table(rows: Sequence[GalleryRow]) -> None:
    """Print a line for each source and target, and the totals."""
    table = Table(title="What became of every photograph", title_justify="left")
    for name in ("photograph", "target"):
        table.add_column(name)
    for name in ("source", "LR", "of source", "PSNR-Y", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for row in rows:
        archived = row.lr_bytes is not None
        table.add_row(
            row.key,
            row.target,
            size_text(row.source_bytes),
            size_text(row.lr_bytes) if row.lr_bytes is not None else "",
            f"{100 * row.lr_bytes / row.source_bytes:.0f} %" if row.lr_bytes is not None else "",
            "" if row.psnr_y is None else f"{row.psnr_y:.2f} dB",
            "" if row.seconds is None else f"{row.seconds:.1f}",
            "archived" if archived else f"{row.state}: {row.reason}",
        )
    out.print(table)
    for target in TARGETS:
        done = [row for row in rows if row.target == target and row.lr_bytes is not None]
        before = sum(row.source_bytes for row in done)
        after = sum(row.lr_bytes or 0 for row in done)
        kept = sum(row.target == target for row in rows) - len(done)
        mean = sum(row.psnr_y or 0 for row in done) / max(1, len(done))
        out.print(
            f"{target}: {len(done)} archived, {kept} kept; {size_text(before)} of sources in "
            f"{size_text(after)} of LR images; restored at {mean:.2f} dB PSNR-Y on average"
        )


if __name__ == "__main__":
    main()
