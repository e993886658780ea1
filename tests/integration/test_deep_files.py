"""Pictures of 16 bits a sample below a floor: archived, restored, proven, repaired, looked at."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from skimage import data

from rescaling_core.photo import decode_shown
from rescaling_core.plan import Floor
from rescaling_core.repack import deep_file
from tasks.catalog import Archived
from tasks.jobs.backfill.worker import Backfiller, BackfillJob, Gap
from tasks.jobs.retire.worker import Claim, Proven, Unproven, Verifier
from tasks.jobs.scrub.repair import Repaired, Repairer
from tasks.renditions.archive import Archive
from tests.packed_archive import files_by_script, listed, packed_archive, restored_files, rows_by
from tests.small_archive import SmallArchive
from tests.unit import photo_samples as samples

pytestmark = pytest.mark.filterwarnings("ignore")

FLOOR = 42
PLAN = f"""\
[[targets]]
target = "x1"
floor = {{ psnr_y = {FLOOR} }}
candidates = [
  {{ rescaler = "deep", codec = "avif", effort = 2, quality = {{ min = 10, max = 100 }} }},
]

[[targets]]
target = "long-edge=64"
"""


def _picture() -> np.ndarray:
    """(120, 140, 3), 16 bits, with something in the lower eight."""
    picture = data.astronaut()[40:160, 150:290].astype(np.uint16)
    noise = np.random.default_rng(1).integers(0, 257, picture.shape)
    return (picture * 256 + noise).clip(0, 65535).astype(np.uint16)


def _files() -> dict[str, bytes]:
    picture = _picture()
    grey = np.ascontiguousarray(picture[..., 1])
    clear = np.ascontiguousarray(np.dstack((picture, picture[..., 1] // 2)))
    p3 = {"photometric": "rgb", "iccprofile": samples.display_p3()}
    description = "Scanned by nobody"
    return {
        "a/scan.tif": samples.tiff_of(picture, description=description, metadata=None, **p3),
        "a/lzw.tif": samples.tiff_of(picture, compression="lzw", predictor=2, **p3),
        "big.tif": samples.tiff_of(picture, byteorder=">", compression="zlib", **p3),
        "tiles.tif": samples.tiff_of(picture, tile=(48, 32), bigtiff=True, **p3),
        "planes.tif": samples.tiff_of(
            picture.transpose(2, 0, 1), planarconfig="separate", compression="zlib", **p3
        ),
        "clear.tif": samples.tiff_of(clear, extrasamples=["unassalpha"], **p3),
        "grey.tif": samples.tiff_of(grey, iccprofile=samples.SRGB),
        "white is zero.tif": samples.tiff_of(grey, photometric="miniswhite"),
        "colour.png": samples.png_with(b"tEXt", b"Title\0Pier", imagecodecs.png_encode(picture)),
        "clear.png": imagecodecs.png_encode(clear),
        "grey.png": imagecodecs.png_encode(grey),
        "netpbm.ppm": b"P6\n# by hand\n140 120\n65535\n" + picture.astype(">u2").tobytes(),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    return packed_archive(tmp_path_factory.mktemp("deep"), _files(), plan=PLAN)


def _rows(made: SmallArchive) -> dict[str, Archived]:
    return rows_by(made, dict.fromkeys(_files(), "deep"))


def _decoded(key: str, content: bytes) -> np.ndarray:
    """By libraries that the project does not restore with, but for PNG."""
    if key.endswith(".tif"):
        found = tifffile.imread(io.BytesIO(content))
        return found.transpose(1, 2, 0) if key == "planes.tif" else found
    if key.endswith(".png"):
        return imagecodecs.png_decode(content)
    return np.frombuffer(content[-120 * 140 * 6 :], ">u2").reshape(120, 140, 3)


def _psnr_y(found: np.ndarray, expected: np.ndarray) -> float:
    """At a peak of 65,535, luma by BT.601 as MATLAB has it."""
    found, expected = (one.astype(np.float64).reshape(120, 140, -1) for one in (found, expected))
    bands = 3 if found.shape[2] > 2 else 1
    weights = np.array([65.481, 128.553, 24.966]) / 255
    weights = weights if bands == 3 else weights.sum(keepdims=True)
    error = (found[..., :bands] - expected[..., :bands]) @ weights
    return float(10 * np.log10(65535**2 / np.mean(error**2)))


def _holds(key: str, content: bytes, row: Archived) -> None:
    """A restored file is of 16 bits, at the floor, and all else of it is the source's."""
    source = _files()[key]
    found, expected = _decoded(key, content), _decoded(key, source)
    assert (found.dtype.itemsize, found.shape) == (2, expected.shape), key
    assert _psnr_y(found, expected) == pytest.approx(float(str(row.psnr_y)), abs=1e-6), key
    assert _psnr_y(found, expected) >= FLOOR, key
    assert len(np.unique(found)) > 1000  # of 256 levels nothing but these would be left
    if key.startswith("clear"):
        np.testing.assert_array_equal(found[..., 3], expected[..., 3])
    if key.endswith(".tif"):
        with (
            tifffile.TiffFile(io.BytesIO(content)) as file,
            tifffile.TiffFile(io.BytesIO(source)) as own,
        ):
            ours, theirs = file.pages.first.tags, own.pages.first.tags
            laid_out = {259, 273, 279, 317, 324, 325}
            assert {tag.code: tag.value for tag in ours if tag.code not in laid_out} == {
                tag.code: tag.value for tag in theirs if tag.code not in laid_out
            }
    if key == "colour.png":
        assert b"tEXtTitle\0Pier" in content


def test_16_bits_come_back_at_the_floor_in_fewer_bytes(made: SmallArchive, tmp_path: Path) -> None:
    rows = _rows(made)
    for key, content in restored_files(made, tmp_path).items():
        row = rows[key]
        _holds(key, content, row)
        assert row.lr_bytes < row.source_size / 2 or key.startswith("clear")
        assert FLOOR + 0.05 <= float(str(row.psnr_y)) < FLOOR + 3


def test_the_archive_gives_them_back_without_refold(made: SmallArchive, tmp_path: Path) -> None:
    rows = _rows(made)
    for key, content in files_by_script(made, list(rows.values()), tmp_path).items():
        _holds(key, content, rows[key])


def test_retire_proves_them_at_16_bits(made: SmallArchive) -> None:
    verifier = Verifier(made.source_url, made.archive_url)
    sources = listed(made)
    for row in _rows(made).values():
        proven = verifier.verify(
            Claim(source=sources[row.source_key], rows=(row,), floor=Floor(psnr_y=FLOOR))
        )
        assert isinstance(proven, Proven), proven
        more = Claim(source=sources[row.source_key], rows=(row,), floor=Floor(psnr_y=FLOOR + 4))
        assert isinstance(verifier.verify(more), Unproven)


def test_a_lost_rendition_is_made_again(made: SmallArchive) -> None:
    row = _rows(made)["a/lzw.tif"]
    stored = made.archive.get(row.lr_key)
    made.archive.delete(row.lr_key)
    repaired = Repairer(made.source_url, made.archive_url, "again").repair(row)
    assert isinstance(repaired, Repaired), repaired
    assert float(str(repaired.row.psnr_y)) >= FLOOR
    made.archive.put(row.lr_key, stored)


def test_previews_and_views_are_made_of_them(made: SmallArchive) -> None:
    """From the source where it is there, and from the packed file where it is gone."""
    from tasks.plans.options import PlanOptions, build_plan

    plan = build_plan(PlanOptions(targets=("long-edge=32",)))
    rows = list(_rows(made).values())
    for url in (made.source_url, None):
        job = BackfillJob(source_url=url, archive_url=made.archive_url, plan=plan, run_id="r")
        filled = Backfiller(job).fill([Gap(row, ("long-edge=32",), row) for row in rows])
        assert not filled.failures
        assert {row.state for row in filled.rows} == {"archived"}
    archive = Archive(made.archive_url)
    for row in rows:
        seen = archive.restore(row.source_key).pixels.astype(int)
        expected = decode_shown(_files()[row.source_key], max_pixels=10**6).pixels
        assert np.abs(seen - expected).mean() < 3
        assert archive.view(archive.row(row.source_key), size=(40, 34)).pixels.shape[:2] == (34, 40)


def test_what_cannot_be_held_at_16_bits_is_kept_with_the_reason(tmp_path: Path) -> None:
    picture = _picture()
    pages = np.stack((picture, picture[::-1]))
    files = {
        "cmyk.tif": samples.tiff_of(
            np.dstack((picture, picture[..., :1])), photometric="separated"
        ),
        "float.tif": samples.tiff_of(picture.astype(np.float32), photometric="rgb"),
        "pages.tif": samples.tiff_of(pages, photometric="rgb"),
        "wide.tif": samples.tiff_of(np.zeros((2, 65_000, 3), np.uint16), photometric="rgb"),
        "key.png": samples.png_with(
            b"tRNS", bytes(6), imagecodecs.png_encode(picture)
        ),
        "cut.tif": samples.tiff_of(picture, photometric="rgb", compression="zlib")[:-900],
    }  # fmt: skip
    small = packed_archive(tmp_path, files, plan=PLAN)
    rows = {row.source_key: row for row in small.rows() if row.target == "x1"}
    assert {key for key, row in rows.items() if row.state == "archived"} == set()
    said = {key: str(getattr(row, "reason", "")) for key, row in rows.items()}
    for key, why in {
        "cmyk.tif": "grey or RGB",
        "float.tif": "layout that cannot be read",
        "pages.tif": "several pictures",
        "wide.tif": "at most 16384 a side",
        "key.png": "colour key",
    }.items():
        assert why in said[key], (key, said[key])
    assert rows["cut.tif"].state in ("quarantined", "kept")


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_a_damaged_pack_is_an_error_of_its_own(made: SmallArchive, at: float) -> None:
    from rescaling_core.errors import RefoldError
    from rescaling_core.restore import restore_source_file

    row = _rows(made)["clear.png"]
    stored = bytearray(made.archive.get(row.lr_key))
    stored[int(at * len(stored))] ^= 0x55
    try:
        back = restore_source_file(bytes(stored))
    except RefoldError:
        return
    assert back is not None
    deep_file(back)
