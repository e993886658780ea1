"""Restoration metadata: written, embedded, read back by this and by other readers."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core import codecs, metadata, zoo
from rescaling_core.codecs import CodecSpec, attachment
from rescaling_core.containers.icc import means_srgb
from rescaling_core.errors import CodecError, MetadataError
from rescaling_core.metadata import RestorationMetadata, wire, xmp
from rescaling_core.networks.latent import LatentPolicy
from rescaling_core.photo import Photo, decode_photo, encode_photo
from rescaling_core.restore import restore
from tests.unit import photo_samples as samples
from tests.unit.photo_cases import READ

OLD = Path(__file__).parents[2] / "fixtures" / "metadata_v1"
EXPECTED = json.loads((OLD / "expected.json").read_text())
EVERY = ("png", "jpeg", "webp", "webp-lossless", "avif", "jxl-lossless")


def _draft(photo: Photo, spec: CodecSpec, lr: np.ndarray, **changes) -> RestorationMetadata:
    draft = RestorationMetadata(
        source_key="a folder/ü%20#?<&>'\".jpg",
        source_etag='"abc"',
        source_size=12_345,
        source_sha256="5" * 64,
        width=photo.width,
        height=photo.height,
        mode=photo.mode,
        format=photo.format,
        target="x2",
        scale=2.0,
        lr_width=lr.shape[1],
        lr_height=lr.shape[0],
        rescaler="irn-x2-lite",
        weights_sha256="7" * 64,
        latent_policy=LatentPolicy("gaussian", 0.7),
        latent_seed=3,
        codec=str(spec),
        quality=spec.quality,
        tile=1024,
        overlap=32,
        software="Refold 0.1.0",
        extras=metadata.carry(photo, spec),
    )
    return replace(draft, **changes)


def _measured(draft: RestorationMetadata, lr: np.ndarray) -> RestorationMetadata:
    return replace(
        draft,
        lr_pixels_sha256=metadata.pixels_digest(lr)[: metadata.DIGEST_DIGITS],
        psnr_y=31.41592653589793,
        ssim_y=0.9271828182845905,
        max_abs_error=97,
        tried=7,
        fingerprint=metadata.fingerprint(lr),
    )


def _photo(name: str) -> Photo:
    return decode_photo(READ[name][1]())


def _lr(photo: Photo) -> np.ndarray:
    return np.ascontiguousarray(photo.pixels[::2, ::2])


# In and out of LR files


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("name", ["jpeg", "png grey with alpha", "png with alpha", "tiff grey"])
def test_a_draft_is_finished_in_place(text: str, name: str) -> None:
    photo, spec = _photo(name), CodecSpec.parse(text)
    lr = _lr(photo)
    draft = _draft(photo, spec, lr)
    drafted = metadata.encode_with_record(lr, spec, photo, draft)
    decoded = codecs.decode(drafted, channels=draft.channels)
    final = _measured(draft, decoded)
    finished = metadata.finalise(drafted, final)
    assert len(finished) == len(drafted)
    assert metadata.read_metadata(finished) == final
    assert metadata.read_metadata(drafted) == metadata.with_room(draft)
    np.testing.assert_array_equal(codecs.decode(finished, channels=draft.channels), decoded)


@pytest.mark.parametrize("text", EVERY)
def test_exact_and_awkward_measures_fit_too(text: str) -> None:
    photo, spec = _photo("png"), CodecSpec.parse(text)
    lr = _lr(photo)
    drafted = metadata.encode_with_record(lr, spec, photo, _draft(photo, spec, lr))
    for psnr_y, ssim_y in ((float("inf"), 1.0), (-3.0000000000000004e-17, -0.12345678901234567)):
        final = replace(
            _measured(_draft(photo, spec, lr), lr), psnr_y=psnr_y, ssim_y=ssim_y, max_abs_error=0
        )
        assert metadata.read_metadata(metadata.finalise(drafted, final)) == final


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_a_file_of_any_codec_takes_a_record_and_gives_it_up_again(format: str) -> None:
    photo, spec = _photo("png"), CodecSpec("png")
    bare = samples.written(samples.image(), format)
    final = _measured(_draft(photo, spec, _lr(photo)), _lr(photo))
    held = metadata.finalise(bare, final)
    assert metadata.read_metadata(held) == final
    assert metadata.finalise(held, final) == held
    np.testing.assert_array_equal(codecs.decode(held), codecs.decode(bare))
    again = attachment.without(held, "meta")
    assert attachment.read(again, "meta") is None
    np.testing.assert_array_equal(codecs.decode(again), codecs.decode(bare))


@pytest.mark.parametrize("text", ["png", "jpeg", "webp", "avif-420", "jxl"])
@pytest.mark.parametrize("source", ["PNG", "JPEG"])
def test_what_a_plain_photo_needs_weighs_at_most_200_bytes(text: str, source: str) -> None:
    photo = decode_photo(samples.written(samples.image(), source))
    spec = CodecSpec.parse(text)
    draft = _draft(
        photo,
        spec,
        photo.pixels,
        source_key="holiday/2024/IMG_20240817_1612.png",
        source_etag="d41d8cd98f00b204e9800998ecf8427e",
        scale=1.0,
        rescaler="none",
        weights_sha256=zoo.NO_WEIGHTS_SHA256,
        latent_policy=LatentPolicy("none"),
        latent_seed=0,
        tile=0,
        overlap=0,
    )
    bare = codecs.encode(photo.pixels, spec)
    held = metadata.encode_with_record(photo.pixels, spec, photo, draft)
    assert len(held) - len(bare) <= 200
    final = metadata.finalise(held, replace(_measured(draft, photo.pixels), fingerprint=None))
    assert len(final) == len(held)
    assert metadata.read_metadata(final).source_etag == "d41d8cd98f00b204e9800998ecf8427e"


def test_alpha_of_any_size_fits_a_jpeg() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 300), dtype=np.uint8)
    photo = replace(_photo("png"), pixels=samples.rgb(300, 400), mode="RGBA", alpha=noise)
    spec, lr = CodecSpec("jpeg", 90), _lr(photo)
    held = metadata.encode_with_record(lr, spec, photo, _draft(photo, spec, lr))
    assert len(held) > 120_000
    assert metadata.read_metadata(held).extras == metadata.carry(photo, spec)


# What the source carried comes back


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("name", READ)
def test_all_that_a_photo_carries_survives_the_lr_file(text: str, name: str) -> None:
    photo, spec = _photo(name), CodecSpec.parse(text)
    lr = _lr(photo)
    draft = _draft(photo, spec, lr)
    wide = photo.icc is not None and not means_srgb(photo.icc)
    if spec.name == "jxl" and (wide or photo.orientation != 1):
        with pytest.raises(CodecError, match="cannot embed"):
            metadata.encode_with_record(lr, spec, photo, draft)
        return
    lr_data = metadata.encode_with_record(lr, spec, photo, draft)
    final = _measured(draft, codecs.decode(lr_data, channels=draft.channels))
    lr_data = metadata.finalise(lr_data, final)
    back = metadata.photo_from_restoration(photo.pixels, metadata.read_metadata(lr_data), lr_data)
    for field in ("mode", "format", "icc", "exif", "xmp", "dpi", "traits"):
        assert getattr(back, field) == getattr(photo, field), field
    assert (back.alpha is None) == (photo.alpha is None)
    if photo.alpha is not None:
        np.testing.assert_array_equal(back.alpha, photo.alpha)
    assert encode_photo(back) == encode_photo(photo)


def test_an_lr_file_that_lost_its_profile_is_not_restored_without_it() -> None:
    photo, spec = _photo("jpeg with all"), CodecSpec("png")
    lr = _lr(photo)
    final = _measured(_draft(photo, spec, lr), lr)
    stripped = codecs.encode(lr, spec, extras=codecs.FileExtras(exif=photo.exif))
    stripped = metadata.finalise(stripped, final)
    with pytest.raises(MetadataError, match="has lost its icc"):
        metadata.photo_from_restoration(photo.pixels, final, stripped)


def test_pixels_of_another_size_are_refused() -> None:
    photo, spec = _photo("png"), CodecSpec("png")
    final = _measured(_draft(photo, spec, _lr(photo)), _lr(photo))
    with pytest.raises(MetadataError, match="restored to 31 x 24, recorded are 61 x 47"):
        metadata.photo_from_restoration(_lr(photo), final, b"")


def test_alpha_that_the_mode_does_not_have_or_that_is_missing_is_refused() -> None:
    photo, spec = _photo("png with alpha"), CodecSpec("png")
    final = _measured(_draft(photo, spec, _lr(photo)), _lr(photo))
    bare = replace(final, extras=metadata.Carried())
    for wrong in (replace(final, mode="RGB"), bare, replace(final, mode="LA")):
        with pytest.raises(MetadataError, match="are not of mode"):
            metadata.photo_from_restoration(photo.pixels, wrong, b"")


# The record


@settings(max_examples=40, deadline=None)
@given(
    key=st.text(st.characters(codec=None)),
    etag=st.text(),
    size=st.integers(0, 2**50),
    scale=st.floats(1.0000001, 30),
    seed=st.integers(0, 2**63 - 1),
    psnr=st.none() | st.floats(-100, 100) | st.just(float("inf")),
    error=st.none() | st.integers(0, 255),
    quality=st.none() | st.integers(0, 100),
)
def test_any_record_reads_back_from_json_and_from_a_packet(
    key, etag, size, scale, seed, psnr, error, quality
) -> None:
    photo = _PHOTO
    record = _draft(
        photo,
        CodecSpec("png"),
        photo.pixels,
        source_key=key,
        source_etag=etag,
        source_size=size,
        scale=scale,
        lr_width=math.ceil(photo.width / scale),
        lr_height=math.ceil(photo.height / scale),
        latent_seed=seed,
        psnr_y=psnr,
        max_abs_error=error,
        quality=quality,
    )
    text = record.to_json()
    assert text.isascii()
    assert "\n" not in text
    assert RestorationMetadata.from_json(text) == record
    assert RestorationMetadata.from_bytes(record.to_bytes()) == record
    older = replace(record, schema_version=1)
    assert RestorationMetadata.from_bytes(older.to_bytes()) == older


_PHOTO = _photo("png with alpha")


def _document(**changes) -> str:
    document = json.loads(_draft(_PHOTO, CodecSpec("png"), _lr(_PHOTO)).to_json())
    return json.dumps(document | changes)


def test_a_newer_version_is_an_error_that_names_both() -> None:
    with pytest.raises(MetadataError, match=r"version 7: this release reads versions 1, 2, 3"):
        RestorationMetadata.from_json(_document(schema_version=7))


def test_fields_added_later_within_a_version_are_ignored() -> None:
    record = RestorationMetadata.from_json(_document(moon_phase="full"))
    assert record.target == "x2"


@pytest.mark.parametrize(
    "changes",
    [
        {"width": "61"},
        {"width": 0},
        {"width": True},
        {"lr_height": -1},
        {"scale": 0},
        {"scale": 3},
        {"width": 10**9, "height": 10**9},
        {"scale": float("nan")},
        {"mode": "CMYK"},
        {"padding": "mirror"},
        {"source_key": None},
        {"latent_policy": {"kind": "cosmic"}},
        {"latent_policy": []},
        {"extras": {"alpha": "not base64!"}},
        {"extras": {"xmp": "AAAA"}},
        {"extras": {"jpeg": {}}},
        {"extras": {"jpeg": {"quantisation": "eJwDAAAAAAE=", "subsampling": 4, "progressive": 0}}},
        {"extras": {"native": ["soul"]}},
        {"extras": {"native": 3}},
        {"extras": {"dpi": [72]}},
        {"extras": 5},
        {"schema_version": None},
    ],
    ids=str,
)
def test_damaged_fields_are_named_in_one_error(changes: dict) -> None:
    with pytest.raises(MetadataError, match="restoration metadata"):
        RestorationMetadata.from_json(_document(**changes))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_compact_record_that_is_damaged_is_an_error_or_another_record(data) -> None:
    whole = _draft(_PHOTO, CodecSpec("png"), _lr(_PHOTO)).to_bytes()
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for broken in (bytes(damaged), whole[:cut]):
        with suppress(MetadataError):
            assert isinstance(RestorationMetadata.from_bytes(broken), RestorationMetadata)


def test_fields_of_a_compact_record_that_are_not_known_are_ignored() -> None:
    record = _draft(_PHOTO, CodecSpec("png"), _lr(_PHOTO))
    more = record.to_bytes() + wire.varint(900, 5) + wire.blob(901, b"x") + wire.double(902, 0.5)
    assert RestorationMetadata.from_bytes(more) == record


def test_a_compact_record_of_a_newer_version_is_an_error() -> None:
    record = _draft(_PHOTO, CodecSpec("png"), _lr(_PHOTO)).to_bytes()
    with pytest.raises(MetadataError, match="version 9: this release reads versions 1, 2 and 3"):
        RestorationMetadata.from_bytes(b"\x09" + record[1:])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", "[" * 100_000, '{"a":1}'])
def test_what_is_no_record_is_an_error(text: str) -> None:
    with pytest.raises(MetadataError):
        RestorationMetadata.from_json(text)


def test_a_value_that_unpacks_without_end_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(metadata.carried, "MAX_UNPACKED", 1000)
    bomb = metadata.Carried(xmp=b"\0" * 1001).to_json()
    with pytest.raises(MetadataError, match="more than 1000 bytes"):
        metadata.Carried.from_json(bomb)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "JXL"])
def test_a_photo_that_is_no_rendition_holds_no_metadata(format: str) -> None:
    for options in ({}, {"xmp": samples.XMP}):
        with pytest.raises(MetadataError, match="not made by Refold, or lost it"):
            metadata.read_metadata(samples.written(samples.image(), format, **options))


@pytest.mark.parametrize(
    "junk", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x0cJXL \r\n\x87\n\0"]
)
def test_junk_holds_no_metadata(junk: bytes) -> None:
    with pytest.raises(MetadataError, match="no restoration metadata"):
        metadata.read_metadata(junk)


# As other tools write packets anew


def test_the_record_is_found_however_a_tool_has_written_the_packet() -> None:
    text = _draft(_PHOTO, CodecSpec("png"), _PHOTO.pixels).to_json()
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    rdf = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    for packet in (
        f"<rdf:RDF {rdf}><rdf:Description xmlns:r='{xmp.NAMESPACE}' r:restoration=\"{escaped}\"/>"
        "</rdf:RDF>",
        f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF {rdf}><rdf:Description "
        f"xmlns:ns1='{xmp.NAMESPACE}' xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='3'>"
        f"<ns1:restoration><![CDATA[{text}]]></ns1:restoration></rdf:Description></rdf:RDF>"
        "</x:xmpmeta>",
    ):
        assert xmp.parse_packet(packet.encode()) == text
        assert xmp.parse_packet(packet.encode("utf-16")) == text


def test_a_packet_with_a_document_type_is_refused() -> None:
    laughs = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    with pytest.raises(MetadataError, match="document type"):
        xmp.parse_packet(laughs)


def test_a_file_saved_anew_with_its_packet_still_restores() -> None:
    lr_data = (OLD / "alpha.png").read_bytes()
    packet, held = codecs.read_xmp(lr_data), codecs.read_extras(lr_data)
    again = codecs.encode(
        codecs.decode(lr_data), CodecSpec("webp"), extras=replace(held, xmp=packet)
    )
    assert metadata.read_metadata(again) == metadata.read_metadata(lr_data)


# Fingerprints


def test_a_fingerprint_bears_rounding_but_no_shifted_block() -> None:
    pixels = samples.rgb()
    recorded = metadata.fingerprint(pixels)
    assert metadata.fingerprint_agrees(pixels, recorded)
    assert metadata.fingerprint_agrees(
        np.clip(pixels.astype(int) + 1, 0, 255).astype("u1"), recorded
    )
    wrong = pixels.copy()
    wrong[:12, :16] = 255 - wrong[:12, :16]
    assert not metadata.fingerprint_agrees(wrong, recorded)
    assert not metadata.fingerprint_agrees(pixels[..., :1], recorded)
    assert not metadata.fingerprint_agrees(pixels, None)
    assert not metadata.fingerprint_agrees(pixels, "not base64")


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 3), (3, 2, 3), (4, 4, 1), (131, 165, 3)])
def test_a_fingerprint_is_the_means_of_its_blocks(shape: tuple[int, int, int]) -> None:
    import base64

    pixels = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)
    found = np.frombuffer(base64.b64decode(metadata.fingerprint(pixels)), np.uint8)
    h, w, c = shape
    for i in range(4):
        for j in range(4):
            top, left = i * h // 4, j * w // 4
            block = pixels[
                top : max(top + 1, (i + 1) * h // 4), left : max(left + 1, (j + 1) * w // 4)
            ]
            mean = np.floor(block.reshape(-1, c).mean(axis=0) + 0.5)
            np.testing.assert_array_equal(found.reshape(4, 4, c)[i, j], mean)


# Files of the past, and readers of others


@pytest.mark.parametrize("name", EXPECTED)
def test_files_of_version_1_are_read(name: str) -> None:
    record = metadata.read_metadata((OLD / name).read_bytes())
    expected = json.dumps(EXPECTED[name]["metadata"])
    assert record == RestorationMetadata.from_json(expected)
    now, then = json.loads(record.to_json()), json.loads(expected)
    for extras in (now["extras"], then["extras"]):
        extras.pop("jpeg", None)  # tables of the standard are written as their qualities now
    assert now == then


@pytest.mark.parametrize("name", ["alpha.png", "alpha.webp", "scan.webp", "scan.png"])
def test_files_of_version_1_are_restored(name: str) -> None:
    """Those of lossless codecs: pixels that lossy decoders give may change with their versions."""
    photo = restore((OLD / name).read_bytes(), zoo.load)
    record = EXPECTED[name]["metadata"]
    assert (photo.width, photo.height) == (record["width"], record["height"])
    assert photo.mode == record["mode"]
    parts = {"icc": photo.icc, "exif": photo.exif, "xmp": photo.xmp}
    parts["alpha"] = None if photo.alpha is None else photo.alpha.tobytes()
    digests = {
        part: metadata.pixels_digest(np.frombuffer(value, np.uint8))
        for part, value in parts.items()
        if value is not None
    }
    assert digests == EXPECTED[name]["sha256"]


@pytest.mark.parametrize("name", [name for name in EXPECTED if not name.endswith(".jxl")])
def test_a_reader_that_knows_the_documentation_alone_reads_the_same(name: str) -> None:
    script = Path(__file__).parents[2] / "independent_reader.py"
    assert len([line for line in script.read_text().splitlines() if line.strip()]) <= 40
    run = subprocess.run(
        [sys.executable, "-I", script, OLD / name], capture_output=True, text=True, check=True
    )
    found = json.loads(run.stdout)
    assert found["metadata"] == EXPECTED[name]["metadata"]
    assert found["sizes_agree"]
    if "preview" not in name:
        assert found["sha256"] == EXPECTED[name]["sha256"]
    if name.endswith(".png"):
        assert found["pixels"] == EXPECTED[name]["metadata"]["lr_pixels_sha256"]


@pytest.mark.parametrize("text", ["png", "jpeg", "webp", "webp-lossless", "avif-420", "jxl"])
def test_a_reader_that_knows_the_documentation_alone_reads_the_compact_record(
    text: str, tmp_path: Path
) -> None:
    script = Path(__file__).parents[2] / "independent_reader_v2.py"
    assert len([line for line in script.read_text().splitlines() if line.strip()]) <= 55
    photo, spec = _photo("jpeg"), CodecSpec.parse(text)
    lr = _lr(photo)
    final = _measured(_draft(photo, spec, lr), lr)
    file = tmp_path / "file"
    file.write_bytes(metadata.finalise(metadata.encode_with_record(lr, spec, photo, final), final))
    run = subprocess.run(
        [sys.executable, "-I", script, file], capture_output=True, text=True, check=True
    )
    found = json.loads(run.stdout)
    document = json.loads(final.to_json())
    assert bytes.fromhex(found["fields"]["1"]).decode() == document["source_key"]
    assert found["fields"]["3"] == document["source_size"]
    assert found["fields"]["4"] == document["source_sha256"]
    assert found["fields"]["9"] == document["lr_pixels_sha256"]
    assert found["fields"]["10"] == document["psnr_y"]
    assert found["fields"]["12"] == document["max_abs_error"]
    assert found["extras"] == document["extras"]
