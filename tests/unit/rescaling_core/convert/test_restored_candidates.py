"""Full-size files whose decoded pixels a restorer improves, as candidates."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from rescaling_core import codecs, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Kept, Rendition, SourceRef, convert
from rescaling_core.convert.again import plan_like
from rescaling_core.errors import RestorationMismatchError, UsageError, WeightsNotFoundError
from rescaling_core.networks.restorer import Restorer
from rescaling_core.photo import decode_photo
from rescaling_core.plan import FULL_SIZE, Candidate, Floor, Target, TargetPlan
from rescaling_core.quality import metrics
from rescaling_core.restore import restore
from rescaling_core.zoo import restorers
from tests.unit.restorers import ERRORS, Models

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("one_thread")

PIXELS = np.ascontiguousarray(skimage.data.astronaut()[60:220, 150:350])
AVIF = CodecSpec("avif", 40, "4:2:0", 1)
CODING = restorers.Coding.of("avif-420", 1, (10, 90))
NAME = "mine.2026-11"


def _source() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    return buffer.getvalue()


DATA = _source()


def _saved(network: Restorer, folder: Path) -> Models:
    card = restorers.describe(network, CODING, restorer_id=NAME, title="Mine")
    restorers.save(folder / "mine.safetensors", network, card)
    return Models(restorers.load(folder / "mine.safetensors"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """One that learnt this very picture, which is a cheap way to one that gains."""
    torch.manual_seed(0)
    network = Restorer(features=8, pairs=1, errors=[ERRORS])
    optimiser = torch.optim.Adam(network.parameters(), 6e-3)
    target = torch.from_numpy(PIXELS).permute(2, 0, 1)[None].float() / 255
    qualities = (50, 60, 70)
    coded = [
        codecs.decode(codecs.encode(PIXELS, CodecSpec("avif", quality, "4:2:0", 1)))
        for quality in qualities
    ]
    given = torch.stack([torch.from_numpy(one.copy()) for one in coded])
    given = given.permute(0, 3, 1, 2).float() / 255
    told, gains = network.conditions([[quality] for quality in qualities])
    for _ in range(250):
        loss = (network(given, told, gains) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return _saved(network.eval(), tmp_path_factory.mktemp("restorer"))


def _converted(models: Models, *candidates: Candidate, psnr_y: float = 40) -> Rendition | Kept:
    plan = TargetPlan(target=Target.parse("x2"), candidates=candidates, floor=Floor(psnr_y=psnr_y))
    ref = SourceRef(key="a", etag="1", size=10**6, sha256=hashlib.sha256(DATA).hexdigest())
    return convert(decode_photo(DATA), ref, plan, models, software="test")


def _rendition(models: Models, restorer: str | None, **floor: float) -> Rendition:
    candidate = Candidate(FULL_SIZE, AVIF, qualities=(10, 90), restorer=restorer)
    outcome = _converted(models, candidate, **floor)
    assert isinstance(outcome, Rendition), outcome
    return outcome


@pytest.mark.slow
@pytest.mark.slow
def test_a_restorer_reaches_the_floor_in_fewer_bytes_and_the_file_names_it(
    trained: Models,
) -> None:
    plain, restored = _rendition(trained, None), _rendition(trained, NAME)
    assert len(restored.lr_data) < len(plain.lr_data)
    record = restored.metadata
    assert record.restorer == NAME
    assert record.weights_sha256 == trained.loaded.weights_sha256
    assert record.strategy == "avif-420 + mine at full size"
    back = restore(restored.lr_data, trained, recorded=record)
    assert metrics.psnr_y(back.pixels, PIXELS) >= 40.05
    with Image.open(io.BytesIO(restored.lr_data)) as image:  # any viewer's
        assert metrics.psnr_y(np.asarray(image), PIXELS) < metrics.psnr_y(back.pixels, PIXELS)


@pytest.mark.slow
def test_the_account_says_what_the_codec_alone_would_take_at_least(trained: Models) -> None:
    restored, plain = _rendition(trained, NAME), _rendition(trained, None)
    with_it, alone = restored.rivals
    assert (with_it.strategy, with_it.at_least) == ("avif-420 + mine at full size", False)
    assert (alone.strategy, alone.at_least) == ("avif-420 at full size", True)
    assert alone.nbytes <= len(plain.lr_data)


def test_a_picture_that_gains_nothing_is_stored_without_one(tmp_path: Path) -> None:
    models = _saved(Restorer(features=8, pairs=1, errors=[ERRORS]).eval(), tmp_path)
    rendition, plain = _rendition(models, NAME), _rendition(models, None)
    assert rendition.metadata.restorer is None
    assert rendition.metadata.strategy == "avif-420 at full size"
    assert len(rendition.lr_data) == len(plain.lr_data)
    assert not any(rival.at_least for rival in rendition.rivals)


@pytest.mark.slow
def test_a_file_whose_restorer_is_missing_or_another_is_refused_by_name_and_digest(
    trained: Models, tmp_path: Path
) -> None:
    rendition = _rendition(trained, NAME)
    with pytest.raises(WeightsNotFoundError, match=f"{NAME}.*{trained.loaded.weights_sha256}"):
        restore(rendition.lr_data, zoo.load)
    other = _saved(Restorer(features=8, pairs=1, errors=[ERRORS]).eval(), tmp_path)
    with pytest.raises(RestorationMismatchError, match=trained.loaded.weights_sha256):
        restore(rendition.lr_data, other)


@pytest.mark.slow
def test_a_repaired_rendition_takes_the_same_restorer(trained: Models) -> None:
    rendition = _rendition(trained, NAME)
    plan = plan_like(rendition.metadata)
    assert plan.candidates[0].restorer == NAME
    again = _converted(trained, *plan.candidates, psnr_y=40)
    assert isinstance(again, Rendition)
    assert again.metadata.restorer == NAME


@pytest.mark.slow
def test_a_restorer_of_another_codec_is_no_candidate(trained: Models) -> None:
    webp = Candidate(FULL_SIZE, CodecSpec("webp", 60, None, 1), qualities=(10, 90), restorer=NAME)
    kept = _converted(trained, webp)
    assert isinstance(kept, Kept)
    assert "it is for avif-420, not for webp" in kept.reason


@pytest.mark.parametrize(
    ("rescaler", "codec", "complaint"),
    [
        ("irn-x2-lite", AVIF, "not behind another network"),
        (FULL_SIZE, CodecSpec("webp"), "a lossy file"),
        ("lanczos", CodecSpec("webp"), "a lossy file"),
    ],
)
def test_a_restorer_needs_a_lossy_file_and_no_other_network(
    rescaler: str, codec: CodecSpec, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        Candidate(rescaler, codec, restorer=NAME)
