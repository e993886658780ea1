"""README's picture and table, from the demo: `make readme`.

The demo is run, one of its photographs is drawn as source, small file, restored image and
difference, and the table between the marks in README.md is written again.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageFont

from flows.demo import FLOOR, run
from rescaling_core.errors import RefoldError
from tasks.pages.gallery import Kept, Shown
from tasks.pages.words import size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = ROOT / "docs" / "images" / "demo.webp"
DRAWN: Final = "astronaut.png"
"""NASA's, in the public domain."""
PART: Final = (90, 20, 330, 260)
"""Of it, so that single pixels can be seen: left, top, right, bottom."""
SIDE, GAP, CAPTION = 360, 12, 54
MARKED: Final = re.compile(r"(<!-- demo -->\n).*?(<!-- end of demo -->)", re.DOTALL)


def main() -> None:
    """Run the demo and write both."""
    output = ROOT / "demo-output"
    try:
        rows = run(output)
    except RefoldError as error:
        sys.exit(f"refold: {error}")
    write(output, rows)


def write(output: Path, rows: Sequence[Shown | Kept]) -> None:
    """Draw the picture and write the table.

    Args:
        output: Where the demo left its results.
        rows: What it returned.
    """
    (drawn,) = (row for row in rows if isinstance(row, Shown) and row.key == DRAWN)
    draw(output, drawn, PART).save(PICTURE, quality=90)
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text("utf-8"), rows), "utf-8")


def draw(output: Path, row: Shown, part: tuple[int, int, int, int]) -> Image.Image:
    """A photograph's source, small file, restoration and difference, side by side."""
    left, top, right, bottom = part
    small = (left / row.width, top / row.height, right / row.width, bottom / row.height)
    fewer = 100 * row.small_bytes / row.source_bytes
    panels = (
        (row.source_path, "source", size_text(row.source_bytes)),
        (row.small_path, "what is stored", f"{size_text(row.small_bytes)}, {fewer:.0f} % of it"),
        (row.restored_path, "what comes back", f"{row.psnr_y:.1f} dB, measured"),
        (row.difference_path, "their difference", "eightfold"),
    )
    sheet = Image.new("RGB", (4 * SIDE + 3 * GAP, SIDE + CAPTION), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(19)
    for at, (path, title, figure) in enumerate(panels):
        with Image.open(output / path) as opened:
            picture = opened.convert("RGB")
        box = tuple(
            share * picture.size[axis % 2] for axis, share in enumerate(small)
        )  # the small picture is the same part, in fewer pixels
        shown = picture.resize((SIDE, SIDE), Image.Resampling.NEAREST, box)  # type: ignore[arg-type]
        x = at * (SIDE + GAP)
        sheet.paste(shown, (x, 0))
        pen.text((x, SIDE + 4), title, "black", font)
        pen.text((x, SIDE + 27), figure, "dimgray", font)
    return sheet


def with_table(text: str, rows: Sequence[Shown | Kept]) -> str:
    """README's text with the table of a demo between its marks.

    Raises:
        ValueError: The marks are not there once.
    """
    lines = [
        f"| photograph | source | small file | restored, at least {FLOOR} dB | AVIF alone |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        if isinstance(row, Kept):
            lines.append(
                f"| `{row.key}` | {size_text(row.source_bytes)} | kept: {row.reason} | | |"
            )
        else:
            alone = "" if row.avif_bytes is None else size_text(row.avif_bytes)
            lines.append(
                f"| `{row.key}` | {size_text(row.source_bytes)} | {size_text(row.small_bytes)} "
                f"| {row.psnr_y:.2f} dB | {alone} |"
            )
    table = "\n".join(lines)
    written, count = MARKED.subn(lambda found: f"{found[1]}{table}\n{found[2]}", text)
    if count != 1:
        raise ValueError(f"README.md: the marks of the demo's table are there {count} times")
    return written


if __name__ == "__main__":
    main()
