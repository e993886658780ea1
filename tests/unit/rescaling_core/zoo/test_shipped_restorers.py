"""The restorers that ship: they load by all their names, and their encoder is still the same."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from rescaling_core import codecs
from rescaling_core.quality import metrics
from rescaling_core.rescale.decoded import restore_decoded
from rescaling_core.zoo import restorers

SHIPPED = [card.id for card in restorers.list_restorers()]


def test_there_is_one_for_avif() -> None:
    assert "restorer-avif-lite.2026-11" in SHIPPED


@pytest.mark.parametrize("restorer_id", SHIPPED)
def test_the_encoder_gives_the_bytes_it_was_trained_on(restorer_id: str) -> None:
    coding = restorers.load(restorer_id).coding
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


@pytest.mark.parametrize("restorer_id", SHIPPED)
def test_it_puts_back_some_of_what_its_codec_took(restorer_id: str) -> None:
    loaded = restorers.load(restorer_id)
    original = np.ascontiguousarray(skimage.data.astronaut()[:256, :300])
    quality = sum(loaded.coding.qualities) // 2
    decoded = codecs.decode(codecs.encode(original, loaded.coding.spec(quality)))
    restored = restore_decoded(decoded, quality, loaded.network)
    assert metrics.psnr_y(restored, original) > metrics.psnr_y(decoded, original) + 0.05
