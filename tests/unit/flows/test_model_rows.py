"""What `refold models list` says of what ships, and of what others trained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flows.cli.model_rows import row_of
from rescaling_core import zoo
from rescaling_core.training.trainer import new_rescaler
from rescaling_core.zoo import restorers
from tasks.jobs.train.data import load_recipe
from tasks.jobs.train.folder import write_weights

if TYPE_CHECKING:
    from pathlib import Path

RESCALERS = [card for card in zoo.list_models() if card.family != "filter"]
RESTORERS = restorers.list_restorers()


@pytest.mark.parametrize("card", [*RESCALERS, *RESTORERS], ids=lambda card: card.id)
def test_all_that_ships_says_what_it_is_for_and_what_it_gave(card: zoo.ModelCard) -> None:
    row = row_of(card)
    assert row.set5.endswith("% bytes" if card in RESTORERS else "dB") or "," in row.set5
    assert row.trained.endswith("steps")
    assert "lossless" in row.use or "at" in row.use
    assert row.licence == "Apache-2.0"


def test_a_rescaler_for_a_codec_names_it_with_its_qualities() -> None:
    row = row_of(zoo.load("sain-x2-jpeg").card)
    assert row.use == "x2, sain, jpeg-420 at 25-95"
    assert row.set5 == "35.85 dB, quality 90"
    assert row.parameters == "2.02 M"
    assert row.trained == "18 min GPU, 4,000 steps"


def test_a_simulated_codec_is_named_as_well() -> None:
    assert row_of(zoo.load("aidn-plus-lite").card).use == "x1-x4, aidn, jpeg-420 at 90"


def test_a_restorer_says_what_it_saves_and_at_which_effort() -> None:
    row = row_of(restorers.load("restorer-avif-slow").card)
    assert row.use == "avif-420 at 10-90, effort 6"
    assert row.set5 == "-2.4 % bytes"


def test_a_layered_one_counts_both_its_networks() -> None:
    card = restorers.load("layered-avif-lite").card
    row = row_of(card)
    assert row.use == "avif at 8-40, effort 4, x2 layered"
    assert row.set5 == "-10.8 % bytes, 34 dB"
    assert card.final is not None
    assert row.parameters == f"{(card.parameters + card.final.parameters) / 1e3:.0f} k"


def test_nothing_is_said_of_what_is_not_known() -> None:
    card = replace(zoo.load("irn-x2-lite").card, training={}, metrics={})
    row = row_of(card)
    assert (row.use, row.set5, row.trained) == ("x2, irn", "", "")


def test_a_network_trained_through_a_codec_is_listed_for_it(tmp_path: Path) -> None:
    recipe = load_recipe("sain-x2-webp")
    card = write_weights(tmp_path / "one.safetensors", recipe, new_rescaler(recipe), {})
    assert row_of(card).use == "x2, sain, webp at 30-95"
