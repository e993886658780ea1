"""Deep, palette, CMYK and moving sources through `--preset lossless`, and all that follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rescaling_core.photo import decode_shown
from rescaling_core.plan import Floor
from rescaling_core.repack import same_file
from tasks.catalog import Archived
from tasks.jobs.backfill.worker import Backfiller, BackfillJob, Gap
from tasks.jobs.retire.worker import Claim, Proven, Unproven, Verifier
from tasks.jobs.scrub.repair import Repaired, Repairer
from tasks.plans.options import PlanOptions, build_plan
from tasks.renditions.archive import Archive
from tests.packed_archive import files_by_script, listed, packed_archive, restored_files, rows_by
from tests.small_archive import SmallArchive
from tests.unit import photo_samples as samples

pytestmark = pytest.mark.filterwarnings("ignore")


def frames_of(pages: list[np.ndarray]) -> list[Image.Image]:
    return [Image.fromarray(page) for page in pages]


def _files() -> dict[str, bytes]:
    picture = samples.rgb(160, 150)
    deep = picture.astype(np.uint16) * 257
    pages = [picture, picture[::-1]]
    frames = [Image.fromarray(one).convert("P") for one in pages]
    return {
        "deep.tif": samples.tiff_of(deep, photometric="rgb"),
        "cmyk.tif": samples.written(Image.fromarray(picture).convert("CMYK"), "TIFF"),
        "pages.tif": samples.tiff_of(np.stack(pages), photometric="rgb"),
        "deep.png": samples.written(samples.image("I;16", 300, 300), "PNG"),
        "moving.png": samples.written(
            Image.fromarray(pages[0]),
            "PNG",
            save_all=True,
            append_images=[Image.fromarray(pages[1])],
        ),
        "palette.bmp": samples.written(frames[0], "BMP"),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    return packed_archive(tmp_path_factory.mktemp("packed"), _files(), preset="lossless")


def _rows(made: SmallArchive) -> dict[str, Archived]:
    return rows_by(made, dict.fromkeys(_files(), "repack"))


def test_the_very_files_come_back_in_fewer_bytes(made: SmallArchive, tmp_path: Path) -> None:
    for key, found in restored_files(made, tmp_path).items():
        assert same_file(found, _files()[key])
        assert found == _files()[key] or key.endswith(".png")
    assert all(row.lr_bytes < row.source_size for row in _rows(made).values())


def test_the_archive_gives_them_back_without_refold(made: SmallArchive, tmp_path: Path) -> None:
    rows = list(_rows(made).values())
    for key, found in files_by_script(made, rows, tmp_path).items():
        assert same_file(found, _files()[key]), key
        assert found == _files()[key] or key.endswith(".png")


def test_retire_proves_them_and_finds_a_file_that_is_not_theirs(made: SmallArchive) -> None:
    verifier = Verifier(made.source_url, made.archive_url)
    sources = listed(made)
    exact = Floor(max_abs_error=0)
    for row in _rows(made).values():
        claim = Claim(source=sources[row.source_key], rows=(row,), floor=exact)
        proven = verifier.verify(claim)
        assert isinstance(proven, Proven), proven
    row = _rows(made)["deep.tif"]
    stored = made.archive.get(row.lr_key)
    made.archive.put(row.lr_key, stored[:-40] + bytes(1) + stored[-39:])
    found = verifier.verify(Claim(source=sources["deep.tif"], rows=(row,), floor=exact))
    made.archive.put(row.lr_key, stored)
    assert isinstance(found, Unproven)


def test_a_lost_rendition_is_made_again(made: SmallArchive) -> None:
    row = _rows(made)["cmyk.tif"]
    made.archive.delete(row.lr_key)
    repaired = Repairer(made.source_url, made.archive_url, "again").repair(row)
    assert isinstance(repaired, Repaired), repaired
    assert made.archive.get(repaired.row.lr_key)


def test_previews_are_made_of_what_is_packed(made: SmallArchive) -> None:
    """From the source where it is there, and from the packed file where it is gone."""
    plan = build_plan(PlanOptions(targets=("long-edge=64",)))
    for url in (made.source_url, None):
        job = BackfillJob(source_url=url, archive_url=made.archive_url, plan=plan, run_id="r")
        gaps = [Gap(row, ("long-edge=64",), row) for row in _rows(made).values()]
        filled = Backfiller(job).fill(gaps)
        assert not filled.failures
        assert {row.state for row in filled.rows} == {"archived"}


def test_they_can_be_looked_at(made: SmallArchive) -> None:
    archive = Archive(made.archive_url)
    for row in _rows(made).values():
        seen = archive.restore(row.source_key)
        expected = decode_shown(_files()[row.source_key], max_pixels=10**6)
        np.testing.assert_array_equal(seen.pixels, expected.pixels)
        small = archive.view(archive.row(row.source_key), size=(40, 38))
        assert small.pixels.shape[:2] == (38, 40)
