"""What is kept for a reason that has passed is tried again by the next run, without being asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tasks.collection.listing import EVERYTHING
from tasks.jobs.archive.steps import find_pending
from tasks.plans.options import PlanOptions, build_plan
from tests.command import REPOSITORY, photograph
from tests.small_archive import SmallArchive

WITHOUT_HEIC = """
import sys
sys.modules["pillow_heif"] = None  # as it is where refold[heic] is not installed
from tests.small_archive import SmallArchive
SmallArchive(*sys.argv[1:]).run("long-edge=24")
"""


@pytest.fixture
def made(tmp_path: Path) -> SmallArchive:
    (tmp_path / "photos").mkdir()
    return SmallArchive(f"{tmp_path}/photos", f"{tmp_path}/archive")


def _states(made: SmallArchive) -> dict[str, str]:
    return {row.source_key: row.state for row in made.rows()}


def _pending(made: SmallArchive, **options: object) -> int:
    plan = build_plan(PlanOptions(**options))  # type: ignore[arg-type]
    return find_pending.fn(made.source, made.catalog, plan, EVERYTHING).count


@pytest.mark.slow
def test_a_heic_is_archived_once_its_extra_is_installed(made: SmallArchive, tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(photograph("chelsea", 40, 48)).save(tmp_path / "photos" / "a.heic")
    command = [sys.executable, "-c", WITHOUT_HEIC, made.source_url, made.archive_url]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    (row,) = made.rows()
    assert (row.state, "refold[heic]" in str(row.reason)) == ("kept", True)
    assert "formats=" in str(row.depends_on)
    assert "HEIF" not in str(row.depends_on)
    assert _pending(made, targets=("long-edge=24",)) == 1
    made.run("long-edge=24")
    assert _states(made) == {"a.heic": "archived"}
    assert _pending(made, targets=("long-edge=24",)) == 0


def test_what_was_too_large_is_archived_under_a_higher_limit(
    made: SmallArchive, tmp_path: Path
) -> None:
    photograph("coffee", 40, 48).save(tmp_path / "photos" / "a.png")
    made.run("long-edge=24", max_pixels=1000)
    assert _states(made) == {"a.png": "quarantined"}
    assert _pending(made, targets=("long-edge=24",), max_pixels=1000) == 0
    assert _pending(made, targets=("long-edge=24",), max_pixels=1500) == 1
    made.run("long-edge=24", max_pixels=1500)
    assert _states(made) == {"a.png": "quarantined"}
    assert _pending(made, targets=("long-edge=24",), max_pixels=1500) == 0
    made.run("long-edge=24", max_pixels=2000)
    assert _states(made) == {"a.png": "archived"}
    assert _pending(made, targets=("long-edge=24",), max_pixels=1000) == 0


def test_what_missed_a_floor_is_tried_again_under_another(
    made: SmallArchive, tmp_path: Path
) -> None:
    photograph("chelsea", 40, 48, 30, 60).save(tmp_path / "photos" / "a.png")
    made.run("x2", floor=("psnr_y=90",))
    assert _states(made) == {"a.png": "kept"}
    assert _pending(made, targets=("x2",), floor=("psnr_y=90",), max_pixels=10**6) == 0
    assert _pending(made, targets=("x2",), floor=("psnr_y=20",), max_pixels=10**6) == 1
    made.run("x2", floor=("psnr_y=20",))
    assert _states(made) == {"a.png": "archived"}
    made.run("x2", floor=("psnr_y=90",))
    assert _states(made) == {"a.png": "archived"}, "what is archived stays"


def test_what_is_kept_for_good_is_looked_at_once(made: SmallArchive, tmp_path: Path) -> None:
    Image.new("RGB", (48, 40), "navy").save(tmp_path / "photos" / "flat.png")
    made.run("x2")
    assert _pending(made, targets=("x2",), max_pixels=10**6) == 0
