"""Restored tiles on a disk: kept, bounded, and never shown damaged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rescaling_core.errors import UsageError
from rescaling_core.pixels.area import Area
from tasks.renditions.archive import Archive
from tasks.renditions.cache import ByteCache
from tasks.renditions.tile_folder import TileFolder
from tests.every_rescaler import EveryRescaler

PHOTO = "16 tiny-dlv-irn-x2/photo.png"


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)


def refuse() -> np.ndarray:
    raise AssertionError("it should have been there")


def test_a_restarted_archive_finds_its_tiles(every_rescaler: EveryRescaler, tmp_path: Path) -> None:
    def region() -> np.ndarray:
        """By a process that knows nothing yet."""
        archive = Archive(every_rescaler.url, cache=ByteCache(0), tiles=TileFolder(tmp_path, 10**7))
        return archive.view(archive.row(PHOTO), Area(0, 0, 30, 30)).pixels

    first = region()
    files = sorted(tmp_path.iterdir())
    assert files
    for file in files:  # a tile that is black, and says rightly that it is
        held = TileFolder(tmp_path, 10**7)._read(file.name)
        assert held is not None
        TileFolder(tmp_path, 10**7)._write(file.name, np.zeros_like(held))
    assert not region().any()  # so they are what is shown
    for file in files:
        data = bytearray(file.read_bytes())
        data[-1] ^= 255
        file.write_bytes(data)
    assert np.array_equal(region(), first)  # damaged ones are not
    assert np.array_equal(region(), first)


def test_what_was_asked_for_longest_ago_is_deleted(tmp_path: Path) -> None:
    room = 3 * (noise(0).nbytes + 200)
    tiles = TileFolder(tmp_path, room)
    for seed in range(3):
        assert np.array_equal(tiles.get(str(seed), lambda seed=seed: noise(seed)), noise(seed))
    tiles.get("0", refuse)
    tiles.get("3", lambda: noise(3))  # in place of 1
    assert len(list(tmp_path.iterdir())) == 3
    assert tiles.nbytes <= room
    for seed in (0, 2, 3):
        assert np.array_equal(tiles.get(str(seed), refuse), noise(seed))
    assert tiles.hits == 4  # one, and these three
    smaller = TileFolder(tmp_path, room // 3)
    assert (len(list(tmp_path.iterdir())), smaller.nbytes <= room // 3) == (1, True)
    nothing = TileFolder(tmp_path / "none", 10)
    assert np.array_equal(nothing.get("a", lambda: noise(1)), noise(1))
    assert list((tmp_path / "none").iterdir()) == []


def test_files_that_vanish_or_cannot_be_written_only_cost_time(tmp_path: Path) -> None:
    tiles = TileFolder(tmp_path / "tiles", 10**6)
    tiles.get("a", lambda: noise(1))
    (file,) = (tmp_path / "tiles").iterdir()
    file.unlink()
    assert np.array_equal(tiles.get("a", lambda: noise(1)), noise(1))
    for file in (tmp_path / "tiles").iterdir():
        file.unlink()
    os.rmdir(tmp_path / "tiles")
    assert np.array_equal(tiles.get("a", lambda: noise(1)), noise(1))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be kept"):
        TileFolder(tmp_path / "file", 10**6)
