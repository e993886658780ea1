"""Archives as datasets of torch."""

from __future__ import annotations

import pickle
import runpy
import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from rescaling_core.errors import UsageError
from rescaling_core.pixels.area import upright
from tasks.datasets import ArchiveDataset, ArchiveStream, SampleError
from tasks.datasets.reader import middle_of
from tasks.renditions.archive import Archive
from tasks.storage import open_store
from tests.command import REPOSITORY
from tests.every_rescaler import EveryRescaler


@pytest.fixture(scope="module")
def small(every_rescaler: EveryRescaler) -> ArchiveDataset:
    """Cuts from the middle of everything that can be restored."""
    return ArchiveDataset(every_rescaler.url, size=(20, 16))


def keys_of(samples: Sequence[Any]) -> list[str]:
    return [sample["key"] for sample in samples]


def test_whole_images_are_those_that_the_archive_restores_upright(
    every_rescaler: EveryRescaler,
) -> None:
    archive = Archive(every_rescaler.url)
    dataset = ArchiveDataset(every_rescaler.url, size="hr")
    assert list(dataset.source_keys()) == sorted(dataset.source_keys())
    turned = 0
    for sample in dataset.__getitems__(range(len(dataset))):
        photo = archive.restore(sample["key"])
        expected = upright(photo.pixels, photo.orientation).transpose(2, 0, 1)
        assert sample["image"].dtype == torch.uint8
        assert np.array_equal(
            sample["image"].numpy(), np.broadcast_to(expected, (3, *expected.shape[1:]))
        )
        turned += photo.orientation != 1
    assert turned


def test_lr_images_are_the_stored_ones_previews_among_them(every_rescaler: EveryRescaler) -> None:
    archive = Archive(every_rescaler.url)
    dataset = ArchiveDataset(every_rescaler.url)
    restorable = ArchiveDataset(every_rescaler.url, size="hr")
    assert len(dataset) > len(restorable), "there are sources of which only a preview is stored"
    for number, key in enumerate(dataset.source_keys()):
        row = next(row for row in archive.catalog.rows(keys=[key]) if row.state == "archived")
        _, height, width = dataset[number]["image"].shape
        if row.psnr_y is None:
            assert max(width, height) == 24
        else:
            lr = archive.opened(row).lr
            turned = archive.opened(row).frame.orientation
            assert (height, width) == upright(lr, turned).shape[:2]


def test_rows_are_chosen_by_condition_and_target(every_rescaler: EveryRescaler) -> None:
    url = every_rescaler.url
    every = ArchiveDataset(url, size="hr")
    good = ArchiveDataset(url, where="psnr_y > 35", size="hr")
    assert 0 < len(good) < len(every)
    (preview,) = ArchiveDataset(url, target="long-edge=24").source_keys()
    assert preview.startswith("26 preview")
    for wrong in ({"where": "psnr_y < 0"}, {"target": "x9"}, {"where": "nonsense >"}):
        with pytest.raises(UsageError):
            ArchiveDataset(url, **wrong)
    with pytest.raises(UsageError, match="previews can be read"):
        ArchiveDataset(url, target="long-edge=24", size="hr")
    for size in ("HR", (0, 5), (5,), 5, (2.5, 3)):
        with pytest.raises(UsageError, match=r"\(width, height\)"):
            ArchiveDataset(url, size=size)  # type: ignore[arg-type]


def test_a_batch_has_one_shape_and_a_transform_is_applied(every_rescaler: EveryRescaler) -> None:
    dataset = ArchiveDataset(every_rescaler.url, size=(20, 16), transform=lambda image: image / 255)
    (batch,) = DataLoader(dataset, batch_size=len(dataset))
    assert batch["image"].shape == (len(dataset), 3, 16, 20)
    assert batch["image"].dtype == torch.float32
    assert float(batch["image"].max()) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_what_this_process_read_before_them(small: ArchiveDataset, start: str) -> None:
    here = [small[number] for number in range(len(small))]  # networks are loaded and have run
    loader = DataLoader(
        small, batch_size=4, num_workers=2, multiprocessing_context=start, timeout=120
    )
    keys: list[str] = []
    images = []
    for batch in loader:
        keys += batch["key"]
        images += list(batch["image"])
    assert keys == keys_of(here)
    for mine, theirs in zip(here, images, strict=True):  # engines may differ in a rounding
        assert int((mine["image"].int() - theirs.int()).abs().max()) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_where_it_was_left(small: ArchiveDataset, workers: int) -> None:
    def loader() -> StatefulDataLoader:
        stream = ArchiveStream(small, seed=3)
        stream.set_epoch(5)
        return StatefulDataLoader(stream, batch_size=3, num_workers=workers)

    whole = [batch["key"] for batch in loader()]
    assert sorted(chain(*whole)) == list(small.source_keys())
    left, first = loader(), []
    for batch in left:
        first.append(batch["key"])
        if len(first) == 3:
            state = pickle.loads(pickle.dumps(left.state_dict()))
            break
    resumed = loader()
    resumed.load_state_dict(state)
    assert first + [batch["key"] for batch in resumed] == whole


def test_processes_share_an_epoch_and_each_epoch_has_its_order(small: ArchiveDataset) -> None:
    streams = [ArchiveStream(small, seed=1, rank=rank, world=3) for rank in range(3)]
    shares = [keys_of(list(stream)) for stream in streams]
    assert {len(share) for share in shares} == {len(small) // 3} == {len(streams[0])}
    given_out = list(chain(*shares))
    assert len(set(given_out)) == len(given_out)
    streams[0].set_epoch(1)
    assert keys_of(list(streams[0])) != shares[0]
    streams[0].set_epoch(0)
    assert keys_of(list(streams[0])) == shares[0]
    with pytest.raises(UsageError, match="rank 3"):
        ArchiveStream(small, rank=3, world=3)


def test_an_order_is_not_taken_up_with_other_images(
    small: ArchiveDataset, every_rescaler: EveryRescaler
) -> None:
    state = ArchiveStream(small, seed=1).state_dict()
    other = ArchiveDataset(every_rescaler.url, where="psnr_y > 35", size=(20, 16))
    with pytest.raises(UsageError, match="images was"):
        ArchiveStream(other, seed=1).load_state_dict(state)
    with pytest.raises(UsageError, match="seed was 1 and is 2"):
        ArchiveStream(small, seed=2).load_state_dict(state)


def test_an_image_that_cannot_be_read_is_named_and_the_others_are_given(
    every_rescaler: EveryRescaler, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(every_rescaler.url, tmp_path / "archive")
    dataset = ArchiveDataset(str(tmp_path / "archive"), where="psnr_y > 30", size=(8, 8))
    damaged, gone = dataset.index[1], dataset.index[3]
    path = tmp_path / "archive" / damaged.place.lr_key
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / "archive" / gone.place.lr_key).unlink()
    for bad in (1, 3):
        with pytest.raises(SampleError) as caught:
            dataset[bad]
        assert str(caught.value).startswith(dataset.index[bad].source_key)
    with pytest.raises(SampleError):
        list(ArchiveStream(dataset))
    there = keys_of(list(ArchiveStream(dataset, skip_unreadable=True)))
    lost = {damaged.source_key, gone.source_key}
    assert there == [key for key in dataset.source_keys() if key not in lost]
    assert all(key in caplog.text for key in lost)
    with pytest.raises(IndexError):
        dataset[len(dataset)]


sides = st.integers(1, 5000)


@given(sides, sides, sides, sides)
def test_the_middle_is_as_large_as_it_can_be_and_of_the_shape(
    width: int, height: int, wide: int, high: int
) -> None:
    area = middle_of((width, height), (wide, high))
    area.check_within(width, height)
    assert area.width == width or area.height == height
    assert (
        abs(area.width * high - area.height * wide) <= max(wide, high)
        or min(area.width, area.height) == 1
    )
    assert abs((width - area.right) - area.left) <= 1
    assert abs((height - area.bottom) - area.top) <= 1


@pytest.mark.slow
def test_the_example_trains_and_goes_on(every_rescaler: EveryRescaler, tmp_path: Path) -> None:
    example = runpy.run_path(str(REPOSITORY / "examples" / "training" / "train_on_archive.py"))
    first = example["main"](every_rescaler.url, tmp_path / "kept.pt", 4)
    second = example["main"](every_rescaler.url, tmp_path / "kept.pt", 20)
    assert 0 < second < first


def test_workers_read_from_s3_what_this_process_read_before_them(
    every_rescaler: EveryRescaler, moto_url: str
) -> None:
    sources, archive = open_store(every_rescaler.url), open_store(f"{moto_url}/archive")
    for found in sources.list():
        archive.put(found.key, sources.get(found.key))
    dataset = ArchiveDataset(archive.url, size=(20, 16))
    here = [dataset[number] for number in range(8)]
    loader = DataLoader(
        dataset, batch_size=4, num_workers=1, multiprocessing_context="fork", timeout=120
    )
    keys = list(chain(*(batch["key"] for batch in loader)))
    assert keys == list(dataset.source_keys())
    assert keys[:8] == keys_of(here)
