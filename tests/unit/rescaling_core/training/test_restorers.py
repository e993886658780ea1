"""Restorers are trained on coded pictures: which, how, and the same way after a kill."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rescaling_core import codecs
from rescaling_core.errors import UsageError
from rescaling_core.networks.latent import seeded_generator
from rescaling_core.quality import metrics
from rescaling_core.training.pairs import Pair, PairSampler, code, fitting, qualities_of
from rescaling_core.training.recipe import Cadence, Optimisation
from rescaling_core.training.restorer_recipe import CodedPictures, RestorerRecipe
from rescaling_core.training.restorer_trainer import RestorerTrainer, new_restorer
from rescaling_core.training.restorer_validation import measure_restorer
from rescaling_core.zoo import restorers
from tasks.jobs.train.data import load_any_recipe
from tasks.jobs.train.folder import CHECKPOINT, RunFolder
from tasks.jobs.train.pairs import PairFolder, training_pairs
from tasks.jobs.train.pause import Pause
from tasks.jobs.train.restorers import first_restorer, train_restorer_here
from tests.unit.restorers import ERRORS

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 12


def _recipe(**changes: Any) -> RestorerRecipe:
    values: dict[str, Any] = {
        "kind": "restorer",
        "id": "tiny",
        "title": "Tiny",
        "network": {"features": 8, "pairs": 1, "errors": [ERRORS]},
        "pictures": CodedPictures(codec="jpeg-420", per_image=2, measured=(20, 60)),
        "optimisation": Optimisation(steps=STEPS, batch=2, patch=32, warmup=2, learning_rate=4e-3),
        "cadence": Cadence(checkpoint=5, validation=6),
    }
    return RestorerRecipe(**values | changes)


def _images(count: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (count, 10, 12, 3)).astype(np.uint8)
    large = [np.kron(one, np.ones((8, 8, 1))) + rng.normal(0, 20, (80, 96, 3)) for one in smooth]
    return [one.clip(0, 255).astype(np.uint8)[:71, :93] for one in large]


def _pairs(recipe: RestorerRecipe, scale: int = 1) -> list[Pair]:
    return [
        Pair(
            decoded=code(fitting(image, scale), recipe.pictures, quality, scale),
            original=fitting(image, scale),
            quality=quality,
        )
        for index, image in enumerate(_images())
        for quality in qualities_of(index, recipe.pictures)
    ]


@given(lowest=st.integers(0, 90), span=st.integers(0, 100), count=st.integers(1, 8))
def test_the_qualities_of_an_image_are_spread_over_the_range(
    lowest: int, span: int, count: int
) -> None:
    highest = min(100, lowest + span)
    count = min(count, max(1, highest - lowest))
    pictures = CodedPictures(
        codec="webp", quality=(lowest, highest), per_image=count, measured=(lowest,)
    )
    chosen = [qualities_of(index, pictures) for index in range(400)]
    assert {len(one) for one in chosen} == {count}
    reached = {quality for one in chosen for quality in one}
    assert min(reached) >= lowest
    assert max(reached) <= highest
    for one in chosen:  # one of each part
        assert len(set(one)) == count


def test_with_many_images_no_quality_is_far_from_a_trained_one() -> None:
    pictures = CodedPictures(codec="avif-420", quality=(10, 90), per_image=4)
    reached = {quality for index in range(150) for quality in qualities_of(index, pictures)}
    assert all(min(abs(quality - one) for one in reached) <= 3 for quality in range(10, 91))


def test_a_drawn_patch_is_where_it_says_in_both_pictures() -> None:
    rng = np.random.default_rng(0)
    decoded = rng.integers(0, 256, (50, 70, 3)).astype(np.uint8)
    pair = Pair(decoded=decoded, original=255 - decoded, quality=33)
    sampler = PairSampler([pair], patch=16, scale=1)
    drawn, original, qualities = sampler.draw(20, seeded_generator(3))
    assert drawn.shape == original.shape == (20, 3, 16, 16)
    assert qualities == [[33]] * 20
    torch.testing.assert_close(original, 1 - drawn)
    blocks = {
        decoded[y : y + 16, x : x + 16].tobytes(): (y, x) for y in range(35) for x in range(55)
    }
    patches = (drawn * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    places = [blocks[patch.tobytes()] for patch in patches]  # neither flipped nor turned
    assert all(y % 2 == 0 and x % 2 == 0 for y, x in places)
    assert len(set(places)) > 10


def test_pictures_that_are_all_too_small_are_refused() -> None:
    small = [replace(one, decoded=one.decoded[:20]) for one in _pairs(_recipe())]
    with pytest.raises(UsageError, match="no training image of at least 64 pixels"):
        PairSampler(small, patch=32, scale=2)


@pytest.mark.parametrize("scale", [1, 2])
def test_training_restores_what_the_codec_took(scale: int) -> None:
    network = {"features": 8, "pairs": 1, "scale": scale, "errors": [ERRORS]}
    plan = Optimisation(
        steps=120, batch=4, patch=32 // scale, warmup=5, learning_rate=5e-3, ema=0.9
    )
    recipe = _recipe(network=network, optimisation=plan)
    pairs = _pairs(recipe, scale)
    trainer = RestorerTrainer(recipe, new_restorer(recipe), pairs)
    before = measure_restorer(trainer.averaged(), pairs)
    assert before.gain == pytest.approx(0, abs=1e-6)
    for _ in range(plan.steps):
        trainer.step()
    after = measure_restorer(trainer.averaged(), pairs)
    assert after.gain > 0.1
    assert after.psnr_y - before.psnr_y == pytest.approx(after.gain, abs=0.2)


def test_the_gain_is_that_of_the_restored_pictures_in_psnr() -> None:
    recipe = _recipe()
    trainer = RestorerTrainer(recipe, new_restorer(recipe), _pairs(recipe))
    trainer.step()
    pair = _pairs(recipe)[0]
    measured = measure_restorer(new_restorer(recipe).eval().requires_grad_(requires_grad=False),
                                [pair])  # fmt: skip
    assert measured.psnr_y == pytest.approx(metrics.psnr_y(pair.decoded, pair.original))
    assert measured.gains == {str(pair.quality): 0}
    assert measured.colours == pytest.approx(0, abs=1e-3)


def test_a_killed_run_that_is_continued_repeats_the_undisturbed_one(tmp_path: Path) -> None:
    recipe, images = _recipe(), _images()

    def train(name: str, *, resume: bool = False) -> list[tuple[int, float]]:
        train_restorer_here(
            recipe, images[1:], images[:1], tmp_path / name,
            resume=resume, device="cpu", pairs=tmp_path / "pairs",
        )  # fmt: skip
        return [(record["step"], record["loss"]) for record in RunFolder(tmp_path / name).records()]

    whole = train("whole")
    child = os.fork()
    if child == 0:
        kept = RunFolder.save

        def save_and_die(folder: RunFolder, *arguments: Any) -> None:
            kept(folder, *arguments)
            os.kill(os.getpid(), signal.SIGKILL)

        RunFolder.save = save_and_die  # type: ignore[method-assign]
        train("killed")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert (tmp_path / "killed" / CHECKPOINT).exists()
    assert train("killed", resume=True) == whole
    one, two = ((tmp_path / name / "tiny.safetensors").read_bytes() for name in ("whole", "killed"))
    assert one == two
    loaded = restorers.load(tmp_path / "whole" / "tiny.safetensors")
    assert loaded.coding.codec == "jpeg-420"
    assert loaded.card.training["recipe"] == "tiny"
    assert loaded.card.metrics["held-out windows"]["pairs"] == 2
    loaded.check(recipe.pictures.spec(50))


def test_pictures_are_coded_once_and_again_only_for_other_settings(tmp_path: Path) -> None:
    pictures = CodedPictures(codec="jpeg-420", per_image=2, measured=(20,))
    images = _images()
    first = training_pairs(PairFolder(tmp_path, pictures, 1), images, pictures)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(files) == 6
    again = training_pairs(PairFolder(tmp_path, pictures, 1), images, pictures)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.decoded, other.decoded)
        expected = codecs.decode(codecs.encode(one.original, pictures.spec(one.quality)))
        assert np.array_equal(one.decoded, expected)
    full = replace(pictures, codec="jpeg")
    training_pairs(PairFolder(tmp_path, full, 1), images, full)
    assert len(list(tmp_path.iterdir())) == 12


def test_training_waits_while_a_file_exists(tmp_path: Path) -> None:
    file = tmp_path / "quiet"
    file.touch()
    out = tmp_path / "run"
    options = {"resume": False, "device": "cpu", "pause": Pause(file)}
    arguments = (_recipe(), _images()[1:], _images()[:1], out)
    training = Thread(target=train_restorer_here, args=arguments, kwargs=options, daemon=True)
    training.start()
    training.join(timeout=1)
    assert training.is_alive()
    assert not RunFolder(out).records()
    file.unlink()
    training.join(timeout=120)
    assert len(RunFolder(out).records()) == STEPS


def test_a_run_starts_from_a_smaller_network_and_not_from_a_larger_one(tmp_path: Path) -> None:
    images = _images()
    options = {"resume": False, "device": "cpu"}
    data = (images[1:], images[:1])
    train_restorer_here(_recipe(), *data, tmp_path / "a", **options)
    start = str(tmp_path / "a" / "tiny.safetensors")
    for name, features in (("same", 8), ("larger", 12)):
        network = {"features": features, "pairs": 1, "errors": [ERRORS]}
        recipe = _recipe(start=start, network=network)
        assert train_restorer_here(recipe, *data, tmp_path / name, **options).steps == STEPS
    smaller = {"features": 4, "pairs": 1, "errors": [ERRORS]}
    with pytest.raises(UsageError, match="fewer features"):
        train_restorer_here(
            _recipe(start=start, network=smaller), *data, tmp_path / "smaller", **options
        )


def test_a_final_filter_goes_on_from_the_filter_of_weights_that_hold_two_networks() -> None:
    recipe = load_any_recipe("layered-avif-lite")
    assert isinstance(recipe, RestorerRecipe)
    shipped = restorers.load("layered-avif-lite.2026-11")
    assert shipped.final is not None
    first = first_restorer(replace(recipe, start=shipped.id)).state_dict()
    expected = shipped.final.network.state_dict()
    assert all(torch.equal(first[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"colour": -1}, "colour"),
        ({"network": {"pictures": 2, "errors": [ERRORS, ERRORS]}}, "pictures is 2 behind"),
        ({"optimisation": Optimisation(steps=1, patch=33)}, "patch is even"),
        ({"optimisation": Optimisation(steps=1, precision="bfloat16")}, "float32"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        _recipe(**change)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"quality": (60, 50)}, "60 is above 50"),
        ({"quality": (50, 52), "per_image": 4, "measured": (50,)}, "per_image = 4: 1 to 2"),
        ({"measured": (5,)}, "measured: within 10 to 90"),
        ({"measured": ()}, "measured"),
        ({"codec": "tiff"}, "tiff"),
        ({"quality": (10, 120), "measured": (20,)}, "quality 120"),
        ({"codec": "png"}, "lossless"),
        ({"effort": 77}, "effort"),
    ],
)
def test_pictures_that_cannot_be_coded_are_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        CodedPictures(**{"codec": "avif-420"} | change)
