"""JPEG files that JPEG XL does not hold are refused in words of our own."""

from __future__ import annotations

import pytest

from rescaling_core.codecs import transcode
from rescaling_core.errors import CodecError
from tests.unit import photo_samples as samples


def test_what_does_not_come_back_is_refused_in_plain_words() -> None:
    plain = samples.written(samples.image(), "JPEG", icc_profile=samples.display_p3())
    start = plain.index(b"\xff\xe2")
    profile = plain[start : start + 2 + int.from_bytes(plain[start + 2 : start + 4], "big")]
    tables = plain.index(b"\xff\xc4")
    odd = profile[:18] + b"not a profile"
    odd = odd[:2] + (len(odd) - 2).to_bytes(2, "big") + odd[4:]
    for data in (
        plain[:start] + profile + plain[start:],
        plain[:tables] + profile + plain[tables:],
        plain[:start] + odd + plain[start + len(profile) :],
    ):
        with pytest.raises(CodecError, match=r"bit for bit|refuses to transcode"):
            transcode.from_jpeg(data, width=61, height=47)
    for damaged in (b"", plain, transcode.from_jpeg(plain, width=61, height=47)[:-40]):
        with pytest.raises(CodecError, match="no JPEG"):
            transcode.to_jpeg(damaged)
