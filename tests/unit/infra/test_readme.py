"""README's picture and table come from the demo."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from infra.readme import CAPTION, GAP, SIDE, draw, with_table
from tasks.pages.gallery import Kept, Shown
from tests.command import REPOSITORY

ROW = Shown(
    key="sky.png", width=64, height=48, source_bytes=9000, small_bytes=900, small_size=(32, 24),
    psnr_y=34.5, how="lanczos, avif", avif_bytes=1000, fewest_bytes=900, source_path="source.png",
    small_path="small.png", restored_path="restored.png", difference_path="difference.png",
)  # fmt: skip


def test_the_picture_shows_the_same_part_of_all_four(tmp_path: Path) -> None:
    for name, size in (("source", 64), ("small", 32), ("restored", 64), ("difference", 64)):
        picture = Image.new("RGB", (size, size * 3 // 4), "blue")
        picture.paste("red", (0, 0, size // 2, size // 2))
        picture.save(tmp_path / f"{name}.png")
    sheet = draw(tmp_path, ROW, (0, 0, 32, 32))
    assert sheet.size == (4 * SIDE + 3 * GAP, SIDE + CAPTION)
    for panel in range(4):
        left = panel * (SIDE + GAP)
        assert set(sheet.crop((left, 0, left + SIDE, SIDE)).getcolors()) == {
            (SIDE * SIDE, (255, 0, 0))
        }


def test_the_table_is_written_between_its_marks_and_nothing_else_changes() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    kept = Kept(key="grey.png", reason="not smaller", source_bytes=10)
    once = with_table(text, [ROW, kept])
    assert "| `sky.png` | 9.0 kB | 900 B | 34.50 dB | 1.0 kB |" in once
    assert "| `grey.png` | 10 B | kept: not smaller | | |" in once
    assert with_table(once, [ROW, kept]) == once
    assert once.partition("<!-- demo -->")[0] == text.partition("<!-- demo -->")[0]
    with pytest.raises(ValueError, match="0 times"):
        with_table("no marks", [ROW])
