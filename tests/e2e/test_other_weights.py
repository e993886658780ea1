"""An archive outlives the weights that made it: another release restores it from storage alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rescaling_core import zoo
from rescaling_core.networks import LatentPolicy, build
from tests.command import REPOSITORY, Refold, RefoldHere, photograph

pytestmark = pytest.mark.slow

OTHER_RELEASE = Path(__file__).parent / "other_release"


@dataclass(frozen=True)
class Made:
    """An archive made with weights from a path, and with those that ship."""

    root: Path

    @property
    def archive(self) -> str:
        return str(self.root / "archive")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, all_here: RefoldHere) -> Made:
    root = tmp_path_factory.mktemp("other weights")
    (root / "photos").mkdir()
    photograph("astronaut", 80, 64, 10, 20).save(root / "photos" / "a.png")
    _write(root / "here" / "mine.safetensors", "mine", seed=1)
    for target, rescaler in (("x2", "irn-x2-lite"), ("x4", "irn-x4-lite")):
        ran = all_here(
            "archive", str(root / "photos"), str(root / "archive"),
            "--target", target, "--rescaler", rescaler, "--json",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        assert ran.json["archived"] == 1
    (root / "others").mkdir()
    photograph("coffee", 80, 64, 10, 20).save(root / "others" / "b.png")
    ran = all_here(
        "archive", str(root / "others"), str(root / "mine"),
        "--rescaler", str(root / "here" / "mine.safetensors"), "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    (root / "here" / "mine.safetensors").unlink()
    return Made(root)


def _write(path: Path, model_id: str, seed: int) -> None:
    rescaler = build("irn", {"scale": 2, "blocks": [1], "growth": 8}, LatentPolicy("zeros"))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in rescaler.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=generator)
    path.parent.mkdir(parents=True, exist_ok=True)
    zoo.save(path, rescaler, zoo.describe(rescaler, model_id=model_id, title=model_id))


@pytest.mark.parametrize("shipped", ["others under the same ids", "none"])
def test_a_release_without_the_weights_restores_from_storage_alone(
    made: Made, refold: Refold, tmp_path: Path, shipped: str
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    if shipped != "none":
        for model_id in ("irn-x2-lite.2026-11", "irn-x4-lite.2026-11", "irn-x2-lite.2027-01"):
            _write(weights / f"{model_id}.safetensors", model_id, seed=2)
    other = refold.within(
        {
            "PYTHONPATH": os.pathsep.join((str(OTHER_RELEASE), str(REPOSITORY))),
            "REFOLD_OTHER_WEIGHTS": str(weights),
            "REFOLD_WEIGHTS": str(tmp_path / "nothing"),
        }
    )  # fmt: skip
    restorations = [
        (tmp_path / "out" / target / source.name, source, archive, target)
        for archive, source, targets in (
            (made.archive, made.root / "photos" / "a.png", ("x2", "x4")),
            (str(made.root / "mine"), made.root / "others" / "b.png", ("x2",)),
        )
        for target in targets
    ]
    commands: list[Sequence[str]] = [("models", "list")]
    for path, _, archive, target in restorations:
        commands.append(("restore", archive, str(path.parent), "--all", "--target", target))
    if shipped == "none":
        commands.append(("scrub", made.archive, "--sample", "1"))
        commands.append(("backfill", made.archive, "--target", "long-edge=16"))
    shown, *rest = other.several(*((*command, "--json") for command in commands))
    listed = [model for model in shown.json if model.get("kind") != "restorer"]
    assert len(listed) == (2 if shipped == "none" else 5)
    assert all(ran.code == 0 for ran in rest), rest
    for ran, (path, source, *_) in zip(rest, restorations, strict=False):
        assert ran.json["restored"] == 1
        with Image.open(path) as back, Image.open(source) as original:
            difference = np.asarray(back).astype(int) - np.asarray(original)
            assert abs(difference).mean() < 12
