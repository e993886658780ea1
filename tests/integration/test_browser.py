"""What a viewer shows of LR files and of restored files: headless Chromium, against the source."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.photo import decode_photo, encode_photo
from rescaling_core.plan import Candidate, Target, TargetPlan
from rescaling_core.quality import metrics
from rescaling_core.restore import restore
from tests.servers.chromium import Chromium
from tests.unit import photo_samples as samples

pytestmark = pytest.mark.slow

SIZE = (240, 180)
"""Width and height as stored; turned by a quarter they are seen the other way about."""
CODECS = ("png", "jpeg", "avif")
"""Browsers show no JPEG XL, and no orientation of WebP."""
PREVIEW_CODECS = ("webp", "webp-lossless", "avif")


def _source(format: str) -> bytes:
    """A photograph of strong colours in a wide gamut, taken with the camera on its side."""
    width, height = SIZE
    pixels = np.ascontiguousarray(data.astronaut()[20 : 20 + height, 60 : 60 + width])
    return samples.written(
        samples.Image.fromarray(pixels),
        format,
        exif=samples.exif(6, sizes=False),
        icc_profile=samples.display_p3(),
        **({} if format == "PNG" else {"quality": 95}),
    )


def _rendition(data: bytes, codec: str, target: str = "x2") -> Rendition:
    source = SourceRef(key="photo", etag="", size=10**7, sha256=hashlib.sha256(data).hexdigest())
    candidate = Candidate("irn-x2-lite" if target == "x2" else "lanczos", CodecSpec.parse(codec))
    plan = TargetPlan(target=Target.parse(target), candidates=(candidate,))
    outcome = convert(decode_photo(data), source, plan, zoo.load, software="test")
    assert isinstance(outcome, Rendition), outcome
    return outcome


def _colours(view: np.ndarray) -> np.ndarray:
    """Mean colours of 12 by 9 blocks: noise of compression vanishes in them, a cast does not."""
    blocks = view.reshape(12, view.shape[0] // 12, 9, view.shape[1] // 9, 3)
    return blocks.mean(axis=(1, 3))


def _apart(view: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of a block, in levels."""
    return float(abs(_colours(view) - _colours(other)).max())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "AVIF"])
def test_a_turned_photo_of_a_wide_gamut_looks_as_it_did(
    format: str, tmp_path: Path, chromium: Chromium
) -> None:
    def file(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    source = _source(format)
    files = {"source": file(f"source.{format.lower()}", source)}
    recorded = {}
    for codec in CODECS:
        made = _rendition(source, codec)
        restored = restore(made.lr_data, zoo.load)
        recorded[codec] = made.metadata.psnr_y
        files[codec] = file(f"restored-{codec}.png", encode_photo(restored))
        files[f"lr {codec}"] = file(f"lr-{codec}{made.extension}", made.lr_data)
    for codec in PREVIEW_CODECS:
        made = _rendition(source, codec, "long-edge=120")
        files[f"preview {codec}"] = file(f"preview-{codec}{made.extension}", made.lr_data)
    files["no profile"] = file("a.png", encode_photo(replace(restored, icc=None)))
    files["not turned"] = file("b.png", encode_photo(replace(restored, exif=None)))
    views = dict(zip(files, chromium.views(list(files.values()), (256, 256)), strict=True))

    seen = views["source"]
    assert seen.shape == (SIZE[0], SIZE[1], 3)  # turned
    for codec in CODECS:
        assert views[codec].shape == seen.shape
        assert _apart(views[codec], seen) < 4
        assert metrics.psnr_y(views[codec], seen) == pytest.approx(recorded[codec], abs=0.5)
        assert views[f"lr {codec}"].shape == (SIZE[0] // 2, SIZE[1] // 2, 3)
        assert _apart(views[f"lr {codec}"], seen) < 4
    for codec in PREVIEW_CODECS:
        assert views[f"preview {codec}"].shape == (SIZE[0] // 2, SIZE[1] // 2, 3)
        assert _apart(views[f"preview {codec}"], seen) < 4
    # What would be seen, had something been lost: these comparisons do tell.
    assert _apart(views["no profile"], seen) > 10
    assert views["not turned"].shape == (SIZE[1], SIZE[0], 3)
    assert _apart(views["png"][::-1, ::-1], seen) > 10
