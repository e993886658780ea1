"""`make demo`: archive a folder of real photographs, restore them all, leave a page to look at."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from flows.cli.app import quiet_libraries
from flows.cli.console import err, out, progress_bar, size_text

OUTPUT: Final = Path("demo-output")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRow:
    """One rendition, or one source that was kept, as the demo shows it."""

    key: str
    target: str
    state: str
    reason: str
    source_bytes: int
    lr_bytes: int | None
    psnr_y: float | None
    seconds: float | None
    lr_path: str | None
    restored_path: str | None


def main() -> None:
    """Run the demo in `demo-output`, which is made anew."""
    quiet_libraries()
    started = time.monotonic()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    photos = copy_photographs(OUTPUT / "photos")
    err.print(f"{len(photos)} photographs in {OUTPUT / 'photos'}; starting Prefect and Ray ...")
    rows = archive_and_restore()
    page = write_page(rows)
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
        import skimage.data  # noqa: PLC0415 - only the demo extra brings it
    except ImportError:
        sys.exit("the demo's photographs come with scikit-image: pip install 'refold[demo]'")
    samples = Path(skimage.data.__file__).parent
    folder.mkdir(parents=True)
    for name in PHOTOGRAPHS:
        shutil.copyfile(samples / name, folder / name)
    return sorted(folder.iterdir())


def archive_and_restore() -> list[DemoRow]:
    """The two flows, and what the catalog says afterwards."""
    from flows.archive import archive  # noqa: PLC0415 - imports Prefect and Ray
    from flows.restore import restore  # noqa: PLC0415
    from tasks.cluster import ray_session  # noqa: PLC0415
    from tasks.planning import PlanOptions  # noqa: PLC0415

    photos, store = str(OUTPUT / "photos"), str(OUTPUT / "archive")
    with ray_session():
        with progress_bar("archive"):
            archive(source=photos, archive=store, options=PlanOptions(targets=("x2", "x4")))
        restored: dict[tuple[str, str], str] = {}
        for target in ("x2", "x4"):
            with progress_bar(f"restore {target}"):
                folder = OUTPUT / "restored" / target
                result = restore(archive=store, dest=str(folder), keys=("*",), target=target)
            for output in result.outputs:
                restored[output.source_key, target] = f"restored/{target}/{output.output_key}"
    return _rows(store, restored)
