"""`refold demo`: archive real photographs, restore them all, leave a page to look at."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from rich.table import Table

from flows.cli.console import err, out, progress_bar
from flows.cli.quiet import quiet_libraries
from rescaling_core.errors import RefoldError, UsageError
from tasks.pages.gallery import Kept, Shown, render_gallery
from tasks.pages.words import size_text

if TYPE_CHECKING:
    from tasks.catalog import Archived, CatalogRow

MARK: Final = ".made-by-refold-demo"
"""Lies in a folder of results, which a later demo may empty."""

FLOOR: Final = 34
"""PSNR-Y in dB that every restoration reaches."""

PLAN: Final = f"""\
# A small picture to look at, out of which the large one is restored.
[[targets]]
target = "x2"
floor = {{ psnr_y = {FLOOR} }}
candidates = [
  {{ rescaler = "lanczos", codec = "avif", quality = 20, restorer = "layered-avif-lite", \
residual = {{ luma = true, quality = {{ min = 10, max = 95 }} }} }},
  {{ rescaler = "lanczos", codec = "avif", quality = 20, \
residual = {{ luma = true, quality = {{ min = 10, max = 95 }} }} }},
]

# What it is to be compared with: full-size AVIF, alone and with a restorer behind it.
[[targets]]
target = "x1"
floor = {{ psnr_y = {FLOOR} }}
candidates = [
  {{ rescaler = "none", codec = "avif-420", quality = {{ min = 10, max = 95 }} }},
  {{ rescaler = "none", codec = "avif-420", quality = {{ min = 10, max = 95 }}, \
restorer = "restorer-avif" }},
]
"""

SMALL, FULL = "x2", "x1"

PHOTOGRAPHS: Final = (
    "chelsea.png",
    "coffee.png",
    "astronaut.png",
    "motorcycle_left.png",
    "ihc.png",
    "hubble_deep_field.jpg",
    "rocket.jpg",
    "retina.jpg",
    "camera.png",
    "coins.png",
    "brick.png",
)
"""Samples that come with scikit-image, as the files they are, those in colour first; see its
`data/README.txt`."""


def main() -> None:
    """Run the demo in `demo-output`."""
    quiet_libraries()
    try:
        run(Path("demo-output"))
    except RefoldError as error:
        sys.exit(f"refold: {error}")


def run(output: Path) -> list[Shown | Kept]:
    """Run the demo.

    Args:
        output: Where its results go. What an earlier demo left there is removed.

    Returns:
        What became of each photograph.

    Raises:
        UsageError: Something else lies there, or scikit-image is not installed.
    """
    started = time.monotonic()
    empty(output)
    photos = copy_photographs(output / "photos")
    err.print(f"{len(photos)} photographs in {output / 'photos'}; starting Prefect ...")
    rows = archive_and_restore(output)
    page = output / "index.html"
    page.write_text(render_gallery("Refold: small files, restored", rows, floor=FLOOR), "utf-8")
    print_table(rows)
    out.print(f"\narchive   {output / 'archive'}    (small files, catalog, networks, restore.py)")
    out.print(f"restored  {output / 'restored'}")
    out.print(f"page      {page}    (source, restoration and their difference: open it)")
    out.print(f"{time.monotonic() - started:.0f} s in all. With photographs of your own:\n")
    if shutil.which("refold") is None:
        out.print("  source .venv/bin/activate")
    out.print("  refold archive ./photos ./archive --preset viewable")
    out.print("  refold serve ./archive                   # to look at them")
    out.print("  refold restore ./archive ./restored --all")
    return rows


def empty(output: Path) -> None:
    """Make the folder of results, or empty one that an earlier demo made.

    Raises:
        UsageError: Something else lies there.
    """
    is_free = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if not is_free and not (output / MARK).exists():
        raise UsageError(f"{output} is there already, and no demo made it: name another folder")
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    (output / MARK).touch()


def copy_photographs(folder: Path) -> list[Path]:
    """Copy the sample files, byte for byte.

    Raises:
        UsageError: scikit-image is not installed.
    """
    try:
        import skimage.data
    except ImportError:
        raise UsageError(
            "the demo's photographs come with scikit-image: pip install 'refold[demo]'"
        ) from None
    samples = Path(skimage.data.__file__).parent
    folder.mkdir(parents=True)
    for name in PHOTOGRAPHS:
        shutil.copyfile(samples / name, folder / name)
    return sorted(folder.iterdir())


def archive_and_restore(output: Path) -> list[Shown | Kept]:
    """Run the two flows, and gather what the catalog says afterwards."""
    from flows.archive import archive
    from flows.restore import restore
    from tasks.plans.options import PlanOptions

    store, folder = str(output / "archive"), output / "restored"
    options = PlanOptions(plan_toml=PLAN, plan_name="the demo's plan")
    with progress_bar("archive"):
        archive(source=str(output / "photos"), archive=store, options=options)
    with progress_bar("restore"):
        summary = restore(archive=store, dest=str(folder), target=SMALL)
    if summary.failures:
        raise RefoldError(f"restoring failed: {summary.failures[0].reason}")
    restored = {one.source_key: folder / one.output_key for one in summary.outputs}
    return rows_of(output, restored)


def rows_of(output: Path, restored: Mapping[str, Path]) -> list[Shown | Kept]:
    """A row for each photograph, in the order of `PHOTOGRAPHS`."""
    from tasks.catalog import Archived, open_catalog
    from tasks.storage import open_store

    rows: dict[str, dict[str, CatalogRow]] = {name: {} for name in PHOTOGRAPHS}
    for row in open_catalog(open_store(str(output / "archive")), create=False).rows():
        rows[row.source_key][row.target] = row
    return [
        _shown(output, small, found[FULL], restored[key])
        if isinstance(small := found[SMALL], Archived)
        else Kept(key=key, reason=small.reason, source_bytes=small.source_size)
        for key, found in rows.items()
    ]


def _shown(output: Path, small: Archived, full: CatalogRow, restored: Path) -> Shown:
    from tasks.catalog import Archived
    from tasks.catalog.strategies import from_json

    alone = {
        one.strategy: one.nbytes
        for one in from_json(full.strategies_json if isinstance(full, Archived) else None)
    }
    plain = min((nbytes for name, nbytes in alone.items() if "restorer" not in name), default=None)
    difference = output / "difference" / f"{small.source_key}.png"
    write_difference(output / "photos" / small.source_key, restored, difference)
    stored = output / "archive" / small.lr_key
    with Image.open(stored) as picture:
        size = picture.size
    return Shown(
        key=small.source_key,
        width=small.width,
        height=small.height,
        source_bytes=small.source_size,
        small_bytes=small.lr_bytes,
        small_size=size,
        psnr_y=small.psnr_y or 0.0,
        how=small.recorded.strategy,
        avif_bytes=plain,
        fewest_bytes=full.lr_bytes if isinstance(full, Archived) else None,
        source_path=f"photos/{small.source_key}",
        small_path=f"archive/{small.lr_key}",
        restored_path=str(restored.relative_to(output)),
        difference_path=str(difference.relative_to(output)),
    )


def write_difference(source: Path, restored: Path, path: Path) -> None:
    """Write eight times the difference of two pictures of one size, in grey around the middle."""
    with Image.open(source) as one, Image.open(restored) as other:
        pixels = [np.asarray(each.convert("RGB"), dtype=np.int16) for each in (one, other)]
    shown = np.clip(128 + 8 * (pixels[1] - pixels[0]), 0, 255).astype(np.uint8)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(shown).save(path)


def print_table(rows: Sequence[Shown | Kept]) -> None:
    """Print a line for each photograph, and the totals."""
    table = Table(title=f"Restored with at least {FLOOR} dB", title_justify="left")
    table.add_column("photograph")
    for name in ("source", "small file", "of source", "restored", "AVIF alone", "fewest bytes"):
        table.add_column(name, justify="right")
    for row in rows:
        if isinstance(row, Kept):
            table.add_row(row.key, size_text(row.source_bytes), f"kept: {row.reason}")
            continue
        table.add_row(
            row.key,
            size_text(row.source_bytes),
            size_text(row.small_bytes),
            f"{100 * row.small_bytes / row.source_bytes:.0f} %",
            f"{row.psnr_y:.2f} dB",
            "" if row.avif_bytes is None else size_text(row.avif_bytes),
            "" if row.fewest_bytes is None else size_text(row.fewest_bytes),
        )
    out.print(table)
    done = [row for row in rows if isinstance(row, Shown) and row.avif_bytes and row.fewest_bytes]
    before, small, alone, fewest = (
        sum(getattr(row, name) for row in done)
        for name in ("source_bytes", "small_bytes", "avif_bytes", "fewest_bytes")
    )
    out.print(
        f"{len(done)} photographs of {size_text(before)}: {size_text(small)} as small pictures "
        f"that the large ones are restored from; full-size AVIF at the same floor takes "
        f"{size_text(alone)}, and {size_text(fewest)} with a restorer where it helps."
    )


if __name__ == "__main__":
    main()
