"""The restorers that ship: they load by all their names, and their encoder is still the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import skimage.data

from rescaling_core import codecs
from rescaling_core.networks.restorer import Restorer
from rescaling_core.quality import metrics
from rescaling_core.rescale.decoded import restore_decoded
from rescaling_core.training.pairs import Beneath, code_layers
from rescaling_core.training.restorer_recipe import CodedPictures
from rescaling_core.zoo import restorers

SHIPPED = [card.id for card in restorers.list_restorers()]
CORRECTING = [card.id for card in restorers.list_restorers() if card.final is None]
LAYERED = [name for name in SHIPPED if name not in CORRECTING]


def _codings(restorer_id: str) -> list[restorers.Coding]:
    loaded = restorers.load(restorer_id)
    return [loaded.coding, *([] if loaded.final is None else [loaded.final.coding])]


def test_there_is_one_for_avif_and_one_for_layered_files() -> None:
    assert "restorer-avif-lite.2026-11" in SHIPPED
    assert restorers.load("layered-avif-lite").final is not None


@pytest.mark.parametrize("restorer_id", SHIPPED)
def test_the_encoder_gives_the_bytes_it_was_trained_on(restorer_id: str) -> None:
    for coding in _codings(restorer_id):
        now = restorers.Coding.of(coding.codec, coding.effort, coding.qualities)
        assert now.settings == coding.settings, (
            f"{restorer_id} was trained on other encoder settings: train it again"
        )
        assert now.fingerprint == coding.fingerprint, (
            f"{restorer_id}: the encoder now gives other bytes than those it was trained on; "
            "measure it with benchmarks.restorers, and train it again where it has lost"
        )


@pytest.mark.parametrize("restorer_id", SHIPPED)
def test_its_id_its_name_and_its_digest_lead_to_it(restorer_id: str) -> None:
    loaded = restorers.load(restorer_id)
    assert restorers.load(restorer_id.rpartition(".")[0]).coding.codec == loaded.coding.codec
    assert restorers.load("an old name", sha256=loaded.weights_sha256).id == restorer_id


@pytest.mark.parametrize("restorer_id", CORRECTING)
def test_it_puts_back_some_of_what_its_codec_took(restorer_id: str) -> None:
    loaded = restorers.load(restorer_id)
    original = np.ascontiguousarray(skimage.data.astronaut()[:256, :300])
    quality = sum(loaded.coding.qualities) // 2
    decoded = codecs.decode(codecs.encode(original, loaded.coding.spec(quality)))
    restored = restore_decoded(decoded, quality, loaded.network)
    assert metrics.psnr_y(restored, original) > metrics.psnr_y(decoded, original) + 0.05


@pytest.mark.parametrize("restorer_id", LAYERED)
def test_both_of_its_networks_gain_on_a_layered_file(restorer_id: str) -> None:
    loaded = restorers.load(restorer_id)
    assert loaded.final is not None
    original = np.ascontiguousarray(skimage.data.astronaut()[:256, :300])
    pictures = CodedPictures(codec=loaded.final.coding.codec, quality=loaded.final.coding.qualities)
    enlarged, total = code_layers(original, pictures, 40, Beneath(loaded, (20, 20)))
    untrained = Restorer(**loaded.network.config).eval().requires_grad_(requires_grad=False)
    plain, _ = code_layers(
        original, pictures, 40, Beneath(replace(loaded, network=untrained), (20, 20))
    )
    assert metrics.psnr_y(enlarged, original) > metrics.psnr_y(plain, original) + 0.1
    filtered = restore_decoded(total, 40, loaded.final.network, beside=[(enlarged, 20)])
    assert metrics.psnr_y(filtered, original) > metrics.psnr_y(total, original) + 0.05
