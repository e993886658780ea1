"""Small images that a restorer enlarges, with a residual whose sum a final filter corrects."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Kept, Rendition, SourceRef, convert
from rescaling_core.convert.again import plan_like
from rescaling_core.errors import CheckpointError, MetadataError, RestorationMismatchError
from rescaling_core.hr_tiles import restored_area
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.networks.restorer import Restorer
from rescaling_core.opened import open_lr
from rescaling_core.photo import decode_photo
from rescaling_core.pixels.area import Area
from rescaling_core.plan import FULL_SIZE, Candidate, Floor, ResidualPlan, Target, TargetPlan
from rescaling_core.quality import metrics
from rescaling_core.restore import restore, restore_whole
from rescaling_core.training.pairs import Beneath, code_layers
from rescaling_core.training.restorer_recipe import CodedPictures
from rescaling_core.zoo import restorers
from tests.unit.restorers import ERRORS, Models, example

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("one_thread")

PIXELS = np.ascontiguousarray(skimage.data.astronaut()[60:219, 150:349])
"""Odd sides."""
SMALL = CodecSpec("avif", 20, "4:4:4", 1)
RESIDUAL = CodecSpec("avif", 50, "4:2:0", 1)
NAME = "mine.2026-11"


def _saved(enlarges: Restorer, final: Restorer | None, folder: Path) -> Models:
    coding = restorers.Coding.of("avif", 1, (15, 30))
    behind = None
    if final is not None:
        behind = restorers.FinalFilter(final, restorers.Coding.of("avif-420", 1, (10, 90)))
    card = restorers.describe(
        enlarges,
        coding,
        restorer_id=NAME,
        title="Mine",
        final=None if behind is None else (behind.network, behind.coding),
    )
    restorers.save(folder / "mine.safetensors", enlarges, card, final=behind)
    return Models(restorers.load(folder / "mine.safetensors"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """A final filter that learnt this very picture behind an enlargement of little use."""
    folder = tmp_path_factory.mktemp("layered")
    enlarges = example("enlarges", strength=0.02)
    beneath = Beneath(_saved(enlarges, None, folder).loaded, (20, 20))
    pictures = CodedPictures(codec="avif-420", effort=1, quality=(10, 90))
    even = PIXELS[:-1, :-1]
    qualities = (40, 50, 60)
    coded = [np.dstack(code_layers(even, pictures, quality, beneath)) for quality in qualities]
    given = torch.from_numpy(np.stack(coded)).permute(0, 3, 1, 2).float() / 255
    target = torch.from_numpy(even.copy()).permute(2, 0, 1)[None].float() / 255
    torch.manual_seed(0)
    final = Restorer(features=8, pairs=1, pictures=2, errors=[ERRORS, ERRORS])
    optimiser = torch.optim.Adam(final.parameters(), 6e-3)
    told, gains = final.conditions([[20, quality] for quality in qualities])
    for _ in range(150):
        loss = (final(given, told, gains) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return _saved(enlarges, final.eval(), folder)


def _file(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _converted(models: Models, *candidates: Candidate, grey: bool = False) -> Rendition | Kept:
    data = _file(PIXELS[..., 1] if grey else PIXELS)
    floor = Floor(psnr_y=38)
    plan = TargetPlan(target=Target.parse("x2"), candidates=candidates, floor=floor)
    ref = SourceRef(key="a", etag="1", size=10**6, sha256=hashlib.sha256(data).hexdigest())
    return convert(decode_photo(data), ref, plan, models, software="test")


def _layered(restorer: str | None = NAME) -> Candidate:
    residual = ResidualPlan(RESIDUAL, (10, 90), luma=True)
    return Candidate("lanczos", SMALL, residual=residual, restorer=restorer)


@pytest.fixture(scope="module")
def rendition(trained: Models) -> Rendition:
    made = _converted(trained, _layered())
    assert isinstance(made, Rendition), made
    return made


def test_the_file_is_a_small_picture_from_which_the_measured_one_comes_back(
    trained: Models, rendition: Rendition
) -> None:
    record = rendition.metadata
    assert record.strategy == "lanczos, avif + mine + residual"
    assert (record.restorer, record.weights_sha256) == (NAME, trained.loaded.weights_sha256)
    assert record.is_filtered
    back = restore(rendition.lr_data, trained, recorded=record)
    assert back.pixels.shape == PIXELS.shape
    assert metrics.psnr_y(back.pixels, PIXELS) == record.psnr_y
    assert record.psnr_y is not None
    assert record.psnr_y >= 38
    with Image.open(io.BytesIO(rendition.lr_data)) as image:  # any viewer's
        assert image.size == (100, 80)
    plain = _converted(trained, _layered(None))
    assert isinstance(plain, Rendition)
    assert len(rendition.lr_data) < len(plain.lr_data)
    assert RestorationMetadata.from_json(record.to_json()) == record
    assert RestorationMetadata.from_bytes(record.to_bytes()) == record


def test_regions_are_those_of_the_whole(trained: Models, rendition: Rendition) -> None:
    whole = restore(rendition.lr_data, trained).pixels
    opened = open_lr(rendition.lr_data)
    for area in (Area(0, 0, 199, 159), Area(31, 17, 40, 50), Area(198, 158, 1, 1)):
        part = restored_area(opened, trained, area)
        assert np.array_equal(part, whole[area.rows, area.columns]), area


def test_a_grey_source_comes_back_grey(trained: Models) -> None:
    made = _converted(trained, _layered(), grey=True)
    assert isinstance(made, Rendition)
    assert made.metadata.restorer == NAME
    back = restore(made.lr_data, trained)
    assert back.mode == "L"
    assert metrics.psnr_y(back.pixels, PIXELS[..., 1:2]) == made.metadata.psnr_y
    part = restored_area(open_lr(made.lr_data), trained, Area(11, 5, 30, 21))
    assert np.array_equal(part, back.pixels[5:26, 11:41])


def test_a_repaired_rendition_takes_the_same_networks(
    trained: Models, rendition: Rendition
) -> None:
    again = _converted(trained, *plan_like(rendition.metadata).candidates)
    assert isinstance(again, Rendition)
    assert again.metadata.is_filtered


def test_a_filter_that_gains_nothing_is_left_out(tmp_path: Path) -> None:
    final = Restorer(features=8, pairs=1, pictures=2, errors=[ERRORS, ERRORS]).eval()
    models = _saved(example("enlarges", strength=0.02), final, tmp_path)
    made = _converted(models, _layered())
    assert isinstance(made, Rendition)
    assert made.metadata.restorer == NAME
    assert not made.metadata.is_filtered
    assert restore(made.lr_data, models, recorded=made.metadata).pixels.shape == PIXELS.shape


def test_without_a_residual_the_enlarged_picture_is_the_restoration(trained: Models) -> None:
    alone = Candidate("lanczos", replace(SMALL, quality=25), qualities=(15, 30), restorer=NAME)
    floor = Floor(psnr_y=20)
    plan = TargetPlan(target=Target.parse("x2"), candidates=(alone,), floor=floor)
    data = _file(PIXELS)
    ref = SourceRef(key="a", etag="1", size=10**6, sha256=hashlib.sha256(data).hexdigest())
    made = convert(decode_photo(data), ref, plan, trained, software="test")
    assert isinstance(made, Rendition)
    assert made.metadata.strategy == "lanczos, avif + mine"
    back = restore(made.lr_data, trained, recorded=made.metadata)
    assert metrics.psnr_y(back.pixels, PIXELS) == made.metadata.psnr_y


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (Candidate(FULL_SIZE, RESIDUAL, qualities=(10, 90), restorer=NAME), "it is for x2, not"),
        (replace(_layered(), codec=CodecSpec("webp", 20, None, 1)), "it is for avif, not for webp"),
        (replace(_layered(), codec=replace(SMALL, quality=60)), "not trained for quality 60"),
    ],
)
def test_a_picture_that_it_is_not_for_is_refused(
    trained: Models, candidate: Candidate, reason: str
) -> None:
    kept = _converted(trained, candidate)
    assert isinstance(kept, Kept)
    assert reason in kept.reason


def test_weights_without_the_filter_are_not_those_that_were_measured(
    rendition: Rendition, tmp_path: Path
) -> None:
    other = _saved(example("enlarges", strength=0.02), None, tmp_path)
    with pytest.raises(RestorationMismatchError, match="measured with weights"):
        restore(rendition.lr_data, other)


def test_a_record_that_is_filtered_by_nothing_is_damaged(rendition: Rendition) -> None:
    document = json.loads(rendition.metadata.to_json())
    del document["restorer"]
    with pytest.raises(MetadataError, match="filtered, but by no restorer"):
        RestorationMetadata.from_json(json.dumps(document))


@pytest.mark.parametrize("change", [{"width": 202}, {"width": 198}, {"height": 161}])
def test_an_lr_image_of_another_size_than_recorded_is_refused(
    trained: Models, rendition: Rendition, change: dict[str, int]
) -> None:
    opened = open_lr(rendition.lr_data)
    other = replace(opened, metadata=replace(opened.metadata, **change))
    with pytest.raises(RestorationMismatchError, match="does not restore to"):
        restore_whole(other, trained)
    with pytest.raises(RestorationMismatchError, match="does not restore to"):
        restored_area(other, trained, Area(0, 0, 2, 2))


def _two(name: str) -> Callable[[], tuple[Restorer, Restorer | None]]:
    return lambda: (example("enlarges"), example(name))


@pytest.mark.parametrize(
    ("networks", "reason"),
    [
        (_two("enlarges"), "a final filter"),
        (_two("corrects"), "a final filter sees two pictures"),
        (lambda: (example("corrects"), example("corrects-a-sum")), "stands behind an enlargement"),
        (lambda: (example("corrects-a-sum"), None), "sees one picture"),
    ],
)
def test_networks_that_do_not_go_together_are_refused(
    networks: Callable[[], tuple[Restorer, Restorer | None]], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        _saved(*networks(), tmp_path)


def test_a_small_image_is_coded_at_each_quality_of_the_range() -> None:
    beneath = Beneath(restorers.load("restorer-avif-lite"), (16, 24))
    assert {beneath.quality_for(quality) for quality in range(10, 91)} == set(range(16, 25))
    assert codecs.extension(SMALL) == ".avif"
