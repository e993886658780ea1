"""Regions and sizes of a photo, against the whole restoration and against the LR image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rescaling_core.errors import UsageError, WeightsNotFoundError
from rescaling_core.hr_tiles import restored_area
from rescaling_core.opened import OpenedLr, open_lr
from rescaling_core.photo.encode import as_image
from rescaling_core.pixels import area as areas
from rescaling_core.pixels.area import Area
from rescaling_core.regions import is_in_lr, view
from rescaling_core.restore import restore
from tasks.catalog import open_catalog
from tasks.models.lookup import Models
from tasks.storage import open_store
from tests.every_rescaler import EveryRescaler

AREAS = [
    Area(0, 0, 61, 24), Area(23, 0, 3, 24), Area(10, 11, 31, 25), Area(60, 23, 1, 1),
    Area(24, 5, 24, 19),
]  # fmt: skip
"""Within, across and at the edges of tiles, and a single pixel."""


def renditions(made: EveryRescaler) -> Iterator[tuple[str, bytes, Models]]:
    """Name, LR file and networks of each rendition that can be restored."""
    archive = open_store(made.url)
    for row in open_catalog(archive, create=False).rows("psnr_y IS NOT NULL"):
        yield f"{row.source_key} {row.codec}", archive.get(row.lr_key), Models(archive)


def no_network(*_: Any) -> Any:
    raise WeightsNotFoundError("a network was asked for")


def lr_of(made: EveryRescaler, name: str) -> tuple[bytes, Models]:
    return next((lr, models) for key, lr, models in renditions(made) if name in key)


@pytest.mark.usefixtures("one_thread")
def test_a_region_of_any_rendition_equals_that_of_the_whole(
    every_rescaler: EveryRescaler,
) -> None:
    names = []
    for name, lr, models in renditions(every_rescaler):
        whole = restore(lr, models)
        opened = open_lr(lr)
        wide = [Area(400, 3, 130, 20), Area(511, 0, 2, 200)]
        for area in wide if whole.width > 500 else AREAS:
            part = view(opened, models, area)
            expected = whole.pixels[area.rows, area.columns]
            assert np.array_equal(part.pixels, expected), (name, area)
            if whole.alpha is not None:
                assert part.alpha is not None
                assert np.array_equal(part.alpha, whole.alpha[area.rows, area.columns]), name
            assert (part.icc, part.exif, part.mode) == (whole.icc, whole.exif, whole.mode)
        everything = restore(lr, models, region=Area(0, 0, whole.width, whole.height))
        assert np.array_equal(everything.pixels, whole.pixels), name
        names.append(name)
    assert len(names) > 20


def test_each_tile_is_made_once_where_tiles_are_remembered(every_rescaler: EveryRescaler) -> None:
    lr, models = lr_of(every_rescaler, "grey.png avif")
    made: dict[str, Any] = {}

    def remember(name: str, make: Callable[[], Any]) -> Any:
        if name not in made:
            made[name] = make()
        return made[name]

    opened = open_lr(lr)
    first = restored_area(opened, models, Area(0, 0, 24, 24), remember=remember)
    assert sorted(made) == ["residual", "tile 0"]
    made["tile 0"] = made["tile 0"] + 1
    again = restored_area(opened, models, Area(0, 0, 30, 24), remember=remember)
    assert np.array_equal(again[:, :24], first + 1)
    assert sorted(made) == ["residual", "tile 0", "tile 1"]


def test_sizes_up_to_that_of_the_lr_image_need_no_network(every_rescaler: EveryRescaler) -> None:
    for name, lr, models in renditions(every_rescaler):
        opened = open_lr(lr)
        if "irn-color" in name:  # its LR image is grey
            assert not is_in_lr(opened, Area(0, 0, 61, 47), (10, 10))
            assert view(opened, models, size=(10, 8)).pixels.shape == (8, 10, 3)
            continue
        h, w, _ = opened.lr.shape
        for size in [(w // 2, h // 2), (7, 3)]:
            small = view(opened, no_network, size=size)
            assert small.pixels.shape == (size[1], size[0], opened.metadata.channels), name
        if opened.metadata.restorer is None:
            at_lr_size = view(opened, no_network, size=(w, h)).pixels
            if opened.lr.shape[2] == opened.metadata.channels:
                assert np.array_equal(at_lr_size, opened.lr), name
        quarter = view(opened, no_network, Area(8, 8, 16, 16), (5, 5))
        assert quarter.pixels.shape[:2] == (5, 5)


def test_a_region_at_half_its_size_is_where_it_should_be_in_the_lr_image(
    every_rescaler: EveryRescaler,
) -> None:
    lr, _ = lr_of(every_rescaler, "none/photo.png")
    opened = open_lr(lr)
    lr, _ = lr_of(every_rescaler, "bicubic/photo.png")
    opened = open_lr(lr)
    part = view(opened, no_network, Area(16, 8, 20, 12), (10, 6))
    assert np.array_equal(part.pixels, opened.lr[4:10, 8:18])
    edge = view(opened, no_network, Area(41, 27, 20, 20), (10, 10))
    assert edge.pixels.shape == (10, 10, 3)


def test_larger_sizes_are_made_from_the_restoration(every_rescaler: EveryRescaler) -> None:
    lr, models = lr_of(every_rescaler, "tiny-irn-x2/photo.png png")
    whole = restore(lr, models)
    wanted = np.asarray(as_image(whole).resize((50, 40), Image.Resampling.LANCZOS))
    assert np.array_equal(restore(lr, models, size=(50, 40)).pixels, wanted)
    with pytest.raises(WeightsNotFoundError):
        restore(lr, no_network, size=(50, 40))


@pytest.mark.parametrize(
    "area",
    [Area(0, 0, 62, 1), Area(0, 0, 1, 48), Area(-1, 0, 2, 2), Area(0, 0, 0, 5), Area(61, 0, 1, 1)],
)
def test_an_area_beyond_the_photo_is_refused(every_rescaler: EveryRescaler, area: Area) -> None:
    lr, models = lr_of(every_rescaler, "bicubic/photo.png")
    with pytest.raises(UsageError, match="61 x 47"):
        restore(lr, models, region=area)


def test_a_size_without_pixels_is_refused(every_rescaler: EveryRescaler) -> None:
    lr, models = lr_of(every_rescaler, "bicubic/photo.png")
    with pytest.raises(UsageError, match="at least 1"):
        restore(lr, models, size=(0, 10))


def opened_sizes() -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=60, deadline=None)
@given(size=opened_sizes(), data=st.data(), orientation=st.integers(1, 8))
def test_a_region_of_the_upright_image_is_found_in_the_stored_one(
    size: tuple[int, int], data: st.DataObject, orientation: int
) -> None:
    width, height = size
    stored = np.arange(width * height, dtype=np.uint8).reshape(height, width)
    image = Image.fromarray(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }  # fmt: skip
    turned = image.transpose(turns[orientation]) if orientation > 1 else image
    assert areas.upright_size(width, height, orientation) == turned.size
    assert np.array_equal(areas.upright(stored, orientation), np.asarray(turned))
    wide, high = turned.size
    left, top = data.draw(st.integers(0, wide - 1)), data.draw(st.integers(0, high - 1))
    area = Area(left, top, data.draw(st.integers(1, wide - left)),
                data.draw(st.integers(1, high - top)))  # fmt: skip
    found = areas.as_stored(area, width, height, orientation)
    part = areas.upright(stored[found.rows, found.columns], orientation)
    assert np.array_equal(part, np.asarray(turned)[area.rows, area.columns])


def test_an_open_lr_file_says_how_much_memory_it_takes(every_rescaler: EveryRescaler) -> None:
    lr, _ = lr_of(every_rescaler, "logo.png")
    opened: OpenedLr = open_lr(lr)
    assert opened.frame.alpha is not None
    assert opened.nbytes == len(lr) + opened.lr.nbytes + opened.frame.alpha.nbytes
    assert opened.frame.pixels.strides == (0, 0, 0)
