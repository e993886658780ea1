"""The record as it lies in an LR file since version 2: a message of Protocol Buffers.

Fields that are what they are for most photos, or that follow from others, are left out. The schema
is in docs/formats.md.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from math import ceil, inf
from typing import TYPE_CHECKING, Any, Final

from rescaling_core import limits
from rescaling_core.errors import MetadataError
from rescaling_core.fitted import FittedFilter
from rescaling_core.metadata import compact_parts, wire
from rescaling_core.metadata.compact_parts import CODEC_NUMBERS
from rescaling_core.quality.scores import MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPACT_VERSIONS: Final = (2, 3)
"""What a compact record may begin with, as one byte; one of version 1 begins with a brace."""

_MOST_PACKED: Final = 64
_SPARE: Final = 2**20
"""Bytes of JSON that one byte of packed `extras` may stand for, and that any may have: what they
hold is packed itself, so that a second packing takes little off it."""

_NO_WEIGHTS: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of no bytes."""

_TEXTS: Final = {1: "source_key", 2: "source_etag", 14: "format", 15: "software", 16: "mode"} | {
    18: "target",
    22: "rescaler",
    24: "latent_kind",
    36: "restorer",
    45: "made_from",
}
_DIGESTS: Final = {4: "source_sha256", 9: "lr_pixels_sha256", 17: "etag_hex"} | {
    23: "weights_sha256",
}
_NUMBERS: Final = {3: "source_size", 5: "width", 6: "height", 8: "quality", 13: "tried"} | {
    20: "lr_width",
    21: "lr_height",
    26: "latent_seed",
    27: "tile",
    28: "overlap",
    31: "refinement",
    32: "lr_channels",
    38: "effort",
    **{one.number: one.name for one in MEASURES.values() if one.whole},
}
_DOUBLES: Final = {
    19: "scale",
    25: "latent_std",
    **{one.number: one.name for one in MEASURES.values() if not one.whole},
}
_WIDE: Final = ("tried", *(one.name for one in MEASURES.values() if one.whole))
"""Known only after the file was written: always two bytes."""

_DEFAULTS: Final[dict[str, Any]] = {
    "source_etag": "",
    "mode": "RGB",
    "format": "JPEG",
    "target": "x2",
    "rescaler": "none",
    "weights_sha256": _NO_WEIGHTS,
    "latent_kind": "none",
    "latent_std": 1.0,
    "latent_seed": 0,
    "tile": 0,
    "overlap": 0,
}
_HEX_ETAG: Final = re.compile(r"(?:[0-9a-f]{2})+")


def pack(document: Mapping[str, Any]) -> bytes:
    """Write a record.

    Args:
        document: As `RestorationMetadata.to_json` writes it, of one of `COMPACT_VERSIONS`.
    """
    flat = _flattened(document)
    derived = _derived(flat)
    flat = {name: value for name, value in flat.items() if value != derived.get(name)}
    parts: list[tuple[int, bytes]] = []
    for number, name in _TEXTS.items():
        if name in flat:
            text = str(flat[name]).encode("utf-8", "surrogatepass")
            parts.append((number, wire.blob(number, text)))
    for number, name in _DIGESTS.items():
        if name in flat:
            parts.append((number, wire.blob(number, bytes.fromhex(flat[name]))))
    for number, name in _NUMBERS.items():
        if name in flat:
            width = 2 if name in _WIDE else 0
            parts.append((number, wire.varint(number, flat[name], width=width)))
    for number, name in _DOUBLES.items():
        if name in flat:
            parts.append((number, wire.double(number, float(flat[name]))))
    if "codec" in flat:
        parts.append((7, wire.varint(7, CODEC_NUMBERS[flat["codec"]])))
    if "fingerprint" in flat:
        parts.append((29, wire.blob(29, flat["fingerprint"])))
    if flat.get("origin") is not None:
        parts.append((33, wire.varint(33, 1)))
    extras = dict(flat.get("extras", {}))
    if (jpeg := compact_parts.pack_jpeg(extras.get("jpeg"))) is not None:
        del extras["jpeg"]
        parts.append((46, wire.blob(46, jpeg)))
    if extras:
        text = json.dumps(extras, separators=(",", ":")).encode("ascii")
        parts.append((34, wire.blob(34, zlib.compress(text, 9))))
    if "residual" in flat:
        parts.append((35, wire.blob(35, compact_parts.pack_residual(flat["residual"]))))
    if "fitted" in flat:
        parts.append((47, wire.blob(47, FittedFilter.from_json(flat["fitted"]).to_bytes())))
    return bytes((document["schema_version"],)) + b"".join(part for _, part in sorted(parts))


def unpack(data: bytes) -> dict[str, Any]:
    """Read what `pack` wrote, as the JSON document of the same record.

    Raises:
        MetadataError: It is damaged, or of a version this release does not know.
    """
    if not data or data[0] not in COMPACT_VERSIONS:
        raise MetadataError(
            f"restoration metadata of version {data[0] if data else 'none'}: this release reads "
            "versions 1, 2 and 3; a newer one is needed"
        )
    try:
        found = _read(data[1:])
        return _unflattened(_DEFAULTS | _derived(_DEFAULTS | found) | found, data[0])
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, zlib.error) as error:
        raise MetadataError(f"restoration metadata are damaged: {error}") from error


def _read(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    texts, digests = _TEXTS, _DIGESTS
    for number, value in wire.fields(data):
        if number in texts and isinstance(value, bytes):
            found[texts[number]] = value.decode("utf-8", "surrogatepass")
        elif number in digests and isinstance(value, bytes):
            found[digests[number]] = value.hex()
        elif number in _NUMBERS and isinstance(value, int):
            found[_NUMBERS[number]] = value
        elif number in _DOUBLES and isinstance(value, float):
            found[_DOUBLES[number]] = value
        elif number == 7 and isinstance(value, int):
            found["codec"] = compact_parts.codec_of(value)
        elif number == 29 and isinstance(value, bytes):
            found["fingerprint"] = value
        elif number == 33:
            found["origin"] = "restored image"
        elif number == 34 and isinstance(value, bytes):
            found["extras"] = _unpack_extras(value)
        elif number == 35 and isinstance(value, bytes):
            found["residual"] = compact_parts.unpack_residual(value)
        elif number == 46 and isinstance(value, bytes):
            found["jpeg"] = compact_parts.unpack_jpeg(value)
        elif number == 47 and isinstance(value, bytes):
            found["fitted"] = FittedFilter.from_bytes(value).to_json()
    return found


def _flattened(document: Mapping[str, Any]) -> dict[str, Any]:
    """One level, digests of the ETag apart, everything in the type it is written in."""
    flat = {name: value for name, value in document.items() if value is not None}
    policy = flat.pop("latent_policy")
    flat |= {"latent_kind": policy["kind"], "latent_std": policy["std"]}
    flat = {name: value for name, value in flat.items() if value != _DEFAULTS.get(name)}
    if "source_etag" in flat and _HEX_ETAG.fullmatch(flat["source_etag"]):
        flat["etag_hex"] = flat.pop("source_etag")
    if "fingerprint" in flat:
        flat["fingerprint"] = base64.b64decode(flat["fingerprint"])
    return flat


def _unflattened(flat: dict[str, Any], version: int) -> dict[str, Any]:
    document = dict(flat)
    document["schema_version"] = version
    kind, std = document.pop("latent_kind"), document.pop("latent_std")
    document["latent_policy"] = {"kind": kind, "std": std}
    document["padding"] = "replicate"
    if "etag_hex" in document:
        document["source_etag"] = document.pop("etag_hex")
    if "fingerprint" in document:
        document["fingerprint"] = base64.b64encode(document["fingerprint"]).decode("ascii")
    for name in MEASURES:
        if document.get(name) == inf:
            document[name] = "inf"
    document.setdefault("extras", {})
    if "jpeg" in document:
        document["extras"] = {**document["extras"], "jpeg": document.pop("jpeg")}
    return document


def _derived(flat: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from other fields, unless it is stated."""
    full = flat.get("rescaler", "none") in ("none", "jpeg-transcode")
    target = str(flat.get("target", "x2"))
    scale = flat.get("scale")
    derived: dict[str, Any] = {}
    if full or target.startswith("x"):
        derived["scale"] = 1.0 if full else float(target[1:])
        scale = derived["scale"] if scale is None else scale
    if scale and "width" in flat and "height" in flat:
        derived |= {
            "lr_width": ceil(flat["width"] / scale),
            "lr_height": ceil(flat["height"] / scale),
        }
    return derived


def _unpack_extras(packed: bytes) -> dict[str, Any]:
    most = min(limits.MAX_JSON, _SPARE + _MOST_PACKED * len(packed))
    stream = zlib.decompressobj()
    text = stream.decompress(packed, most)
    if not stream.eof:
        raise ValueError(f"extras are truncated, or unpack to more than {most} bytes")
    if stream.unused_data:
        raise ValueError(f"{len(stream.unused_data)} bytes behind the extras")
    extras: dict[str, Any] = limits.read_json(text)
    return extras
