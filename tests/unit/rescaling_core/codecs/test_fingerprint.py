"""A restorer is bound to the bytes of its encoder; a change of them is noticed."""

from __future__ import annotations

import numpy as np

from rescaling_core.codecs import CodecSpec
from rescaling_core.codecs.fingerprint import fingerprint, known_picture, settings_of


def test_the_same_settings_give_the_same_fingerprint() -> None:
    spec = CodecSpec.parse("avif-420", 50)
    assert fingerprint(spec, (20, 80)) == fingerprint(CodecSpec.parse("avif-420", 70), (20, 80))


def test_any_other_setting_gives_another() -> None:
    specs = (
        CodecSpec.parse("avif-420", 50),
        CodecSpec.parse("avif", 50),
        CodecSpec("avif", 50, "4:2:0", 6),
        CodecSpec.parse("jpeg-420", 50),
        CodecSpec.parse("webp", 50),
    )
    digests = [fingerprint(spec, (20, 80)) for spec in specs]
    digests.append(fingerprint(specs[0], (20, 81)))
    assert len(set(digests)) == len(digests)


def test_settings_are_those_of_the_encoder_not_of_a_picture() -> None:
    settings = settings_of(CodecSpec("avif", 50, "4:2:0", 6))
    assert settings["speed"] == 4
    assert settings["subsampling"] == "4:2:0"
    assert "quality" not in settings
    assert settings == settings_of(CodecSpec("avif", 80, "4:2:0", 6))


def test_the_known_picture_never_changes() -> None:
    picture = known_picture()
    assert picture.dtype == np.uint8
    weights = np.arange(1, picture.size + 1, dtype=np.int64) % 9973
    assert int((picture.ravel() * weights).sum()) == 19_340_586_145
