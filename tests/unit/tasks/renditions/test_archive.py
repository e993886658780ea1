"""An archive that is open and warm in this process."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run
from threading import Event

import numpy as np
import pytest

from rescaling_core.errors import RestorationMismatchError, UsageError
from rescaling_core.pixels.area import Area
from tasks.catalog.paging import Position, Search
from tasks.renditions.archive import Archive, NotInArchiveError
from tasks.renditions.cache import ByteCache
from tests.every_rescaler import EveryRescaler

PHOTO = "16 tiny-dlv-irn-x2/photo.png"


def test_a_source_is_restored_by_one_call_and_its_regions_equal_it(
    every_rescaler: EveryRescaler,
) -> None:
    archive = Archive(every_rescaler.url)
    photo = archive.restore(PHOTO)
    assert photo.pixels.shape == (47, 61, 3)
    area = Area(20, 10, 15, 30)
    part = archive.view(archive.row(PHOTO), area)
    assert np.array_equal(part.pixels, photo.pixels[area.rows, area.columns])
    misses = archive.cache.misses
    archive.view(archive.row(PHOTO), area)
    assert archive.cache.misses == misses


@pytest.mark.slow
def test_restoring_in_this_process_starts_neither_ray_nor_prefect(
    every_rescaler: EveryRescaler,
) -> None:
    code = (
        "import sys\n"
        "from tasks.renditions.archive import Archive\n"
        f"photo = Archive({every_rescaler.url!r}).restore({PHOTO!r})\n"
        "print(photo.width, photo.height, 'ray' in sys.modules, 'prefect' in sys.modules)\n"
    )
    said = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["61", "47", "False", "False"]


def test_what_is_not_there_is_told_by_name(every_rescaler: EveryRescaler) -> None:
    archive = Archive(every_rescaler.url)
    with pytest.raises(NotInArchiveError, match=r"no such\.png"):
        archive.restore("no such.png")
    with pytest.raises(NotInArchiveError, match="at x9"):
        archive.row(PHOTO, "x9")
    preview = next(row for row in archive.catalog.rows() if row.psnr_y is None)
    with pytest.raises(NotInArchiveError, match="a preview"):
        archive.view(archive.row(preview.source_key, preview.target))
    assert archive.lr_file(preview)[:2] == b"\xff\xd8"


def test_a_damaged_rendition_is_an_error_and_never_an_image(
    every_rescaler: EveryRescaler, tmp_path: Path
) -> None:
    shutil.copytree(every_rescaler.url, tmp_path / "archive")
    archive = Archive(str(tmp_path / "archive"))
    row = archive.row(PHOTO)
    path = tmp_path / "archive" / row.lr_key
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    with pytest.raises(RestorationMismatchError, match="not those that were archived"):
        archive.view(row)
    with pytest.raises(RestorationMismatchError):
        archive.lr_file(row)


def test_pages_hold_every_row_once_in_the_order_of_keys(every_rescaler: EveryRescaler) -> None:
    archive = Archive(every_rescaler.url)
    everything = [(row.source_key, row.target) for row in archive.catalog.rows()]
    after, seen = None, []
    while True:
        page = archive.page(Search(), after, 5)
        assert len(page.rows) <= 5
        seen += [(row.source_key, row.target) for row in page.rows]
        if page.next is None:
            break
        after = Position.parse(page.next.cursor())
    assert seen == everything


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search(prefix="restored/"), ["restored/wide.png"]),
        (Search(prefix="' OR '1' = '1"), []),
        (Search(glob="*/p%ne.jpg"), []),
        (Search(glob="*tiny-firn-x?/ph_to.png"), []),
        (Search(glob="*tiny-firn-x?/photo.png"), ["18 tiny-firn-x2/photo.png"]),
        (Search(glob="*% & <1>.jpg", restorable=True, target="x2", psnr_min=50.0),
         ["25 jpeg-transcode/phone/ü % & <1>.jpg"]),
        (Search(psnr_min=99.0), ["25 jpeg-transcode/phone/ü % & <1>.jpg"]),
        (Search(state="quarantined"), []),
        (Search(target="long-edge=24"), ["26 preview/phone/ü % & <1>.jpg"]),
    ],
)  # fmt: skip
def test_rows_are_found_by_what_they_are(
    every_rescaler: EveryRescaler, search: Search, expected: list[str]
) -> None:
    page = Archive(every_rescaler.url).page(search)
    assert [row.source_key for row in page.rows] == expected


@pytest.mark.parametrize("cursor", ["", "!!!", "e30", "WzEsMl0", "A" * 10_000, "W1tbW1tb"])
def test_a_cursor_that_was_not_given_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="cursor"):
        Position.parse(cursor)


def test_a_cache_never_holds_more_than_it_may() -> None:
    cache = ByteCache(10_000)
    for number in range(20):
        assert cache.get(number, lambda: np.zeros(1000, np.uint8)).nbytes == 1000
        assert cache.nbytes <= 10_000
    assert cache.get("large", lambda: np.ones(50_000, np.uint8)).nbytes == 50_000
    assert cache.nbytes <= 10_000
    misses = cache.misses
    cache.get(19, lambda: np.zeros(1, np.uint8))
    cache.get(0, lambda: np.zeros(1, np.uint8))
    assert cache.misses == misses + 1  # the newest was kept, the oldest was not


def test_what_two_threads_ask_for_at_once_is_made_once() -> None:
    cache, begun, go = ByteCache(10_000), Event(), Event()
    made = []

    def make() -> np.ndarray:
        made.append(1)
        begun.set()
        assert go.wait(30)
        return np.zeros(3, np.uint8)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "tile", make)
        assert begun.wait(30)
        second = pool.submit(cache.get, "tile", make)
        go.set()
        assert first.result() is second.result()
    assert made == [1]


def test_what_failed_is_tried_again() -> None:
    cache = ByteCache(10_000)

    def fail() -> bytes:
        raise UsageError("not now")

    with pytest.raises(UsageError):
        cache.get("tile", fail)
    assert cache.get("tile", lambda: b"here") == b"here"
