"""What of a photo the LR file cannot hold by itself, and how it comes back."""

from __future__ import annotations

import base64
import binascii
import io
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from rescaling_core.containers import png
from rescaling_core.containers.jpeg_standard import Table, standard_qualities, standard_table
from rescaling_core.errors import MetadataError
from rescaling_core.photo.foreign import MOST_CARRIED
from rescaling_core.photo.record import Foreign, JpegTraits, Photo, Traits
from rescaling_core.photo.sources.shared import stated_dpi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.codecs import CodecSpec
    from rescaling_core.pixels.arrays import U8Array

_NATIVE: Final = {"icc": "icc", "exif": "exif"}
"""What may lie in the LR file itself."""

MAX_UNPACKED: Final = MOST_CARRIED
"""Bytes that all packed values of a record may unpack to together."""

_MAX_TABLES: Final = 4
"""Quantisation tables that a JPEG may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What of a photo travels in the restoration metadata, and what lies in the LR file itself."""

    native: tuple[str, ...] = ()
    """Which of `icc` and `exif` the LR file holds natively, byte for byte."""
    alpha: bytes | None = None
    """A grey 8-bit PNG of the source's size."""
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    traits: Traits = field(default_factory=Traits)

    def to_json(self) -> dict[str, Any]:
        """JSON-able; what is absent is left out."""
        document: dict[str, Any] = {}
        if self.native:
            document["native"] = list(self.native)
        if self.alpha is not None:
            document["alpha"] = base64.b64encode(self.alpha).decode("ascii")
        for name in ("icc", "exif", "xmp"):
            if (value := getattr(self, name)) is not None:
                document[name] = _pack(value)
        if self.dpi is not None:
            document["dpi"] = list(self.dpi)
        return document | _traits_to_json(self.traits)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Carried:
        """Read what `to_json` wrote.

        Raises:
            MetadataError: It is damaged.
        """
        unpacker = _Unpacker(MAX_UNPACKED)
        try:
            alpha = document.get("alpha")
            return cls(
                native=tuple(_NATIVE[name] for name in document.get("native", ())),
                alpha=None if alpha is None else base64.b64decode(alpha, validate=True),
                dpi=_dpi(document.get("dpi")),
                traits=_traits_from_json(document, unpacker),
                **{name: unpacker.unpack(document.get(name)) for name in ("icc", "exif", "xmp")},
            )
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, zlib.error) as error:
            raise MetadataError(f"restoration metadata: extras are damaged: {error}") from error


def carry(photo: Photo, spec: CodecSpec) -> Carried:
    """Say where everything of a photo goes when its LR image is written with a codec.

    Args:
        photo: The source.
        spec: The codec of the LR file.
    """
    native = []
    if photo.icc is not None and spec.codec.holds_icc:
        native.append("icc")
    if photo.exif is not None and spec.codec.max_exif:
        native.append("exif")
    return Carried(
        native=tuple(native),
        alpha=None if photo.alpha is None else _alpha_png(photo.alpha),
        icc=None if "icc" in native else photo.icc,
        exif=None if "exif" in native else photo.exif,
        xmp=photo.xmp,
        dpi=photo.dpi,
        traits=photo.traits,
    )


def _alpha_png(alpha: U8Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(alpha).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()


def _pack(value: bytes) -> str:
    return base64.b64encode(zlib.compress(value, 9)).decode("ascii")


class _Unpacker:
    """Unpacks values that together may not take more than a limit of bytes.

    A megabyte of zlib can hold a gigabyte of zeros.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def unpack(self, text: str | None) -> bytes | None:
        """The value, or None for None.

        Raises:
            ValueError: It is damaged, or there is no room left for it.
        """
        if text is None:
            return None
        try:
            stream = zlib.decompressobj()
            value = stream.decompress(base64.b64decode(text, validate=True), self._left + 1)
        except binascii.Error as error:
            raise ValueError(str(error)) from error
        if len(value) > self._left:
            raise ValueError(f"they unpack to more than {self._limit} bytes")
        if not stream.eof:
            raise ValueError("a value is truncated")
        self._left -= len(value)
        return value


def _dpi(stated: Any) -> tuple[float, float] | None:
    """The density; None also for one that no PNG can state, which older releases recorded."""
    return None if stated is None else stated_dpi(stated[0], stated[1])


def _traits_to_json(traits: Traits) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if traits.iptc is not None:
        document["iptc"] = _pack(traits.iptc)
    if traits.foreign:
        document["foreign"] = [
            [part.name, part.offset, _pack(part.data)] for part in traits.foreign
        ]
    if traits.trailer:
        document["trailer"] = _pack(traits.trailer)
    if traits.png_chunks:
        document["png_chunks"] = [[kind, _pack(data)] for kind, data in traits.png_chunks]
    if traits.jpeg is not None:
        document["jpeg"] = _tables_to_json(traits.jpeg.quantisation) | {
            "subsampling": traits.jpeg.subsampling,
            "progressive": traits.jpeg.progressive,
        }
        if traits.jpeg.segments:
            document["jpeg"]["segments"] = _pack(traits.jpeg.segments)
    return document


def _tables_to_json(tables: tuple[Table, ...]) -> dict[str, Any]:
    """The qualities that tables of the standard have, which most have, or else the tables."""
    if qualities := standard_qualities(tables):
        return {"qualities": list(qualities)}
    return {"quantisation": _pack(np.array(tables, dtype=">u2").tobytes())}


def _traits_from_json(document: Mapping[str, Any], unpacker: _Unpacker) -> Traits:
    jpeg = document.get("jpeg")
    return Traits(
        jpeg=None if jpeg is None else _jpeg_from_json(jpeg, unpacker),
        iptc=unpacker.unpack(document.get("iptc")),
        png_chunks=tuple(
            (_carried_chunk(kind), unpacker.unpack(data) or b"")
            for kind, data in document.get("png_chunks", ())
        ),
        trailer=unpacker.unpack(document.get("trailer")) or b"",
        foreign=tuple(
            Foreign(
                str(name), None if offset is None else int(offset), unpacker.unpack(data) or b""
            )
            for name, offset, data in document.get("foreign", ())
        ),
    )


def _carried_chunk(kind: Any) -> str:
    """The type of a chunk, if it may be put into a restored PNG without changing its picture."""
    if not isinstance(kind, str) or not png.may_be_added(kind):
        raise ValueError(f"a chunk {kind!r:.20} would change the restored picture")
    return kind


def _jpeg_from_json(document: Mapping[str, Any], unpacker: _Unpacker) -> JpegTraits:
    subsampling = document["subsampling"]
    if subsampling not in (None, "4:4:4", "4:2:2", "4:2:0"):
        raise ValueError(f"subsampling: {subsampling!r}")
    return JpegTraits(
        quantisation=_tables_from_json(document, unpacker),
        subsampling=subsampling,
        progressive=bool(document["progressive"]),
        segments=unpacker.unpack(document.get("segments")) or b"",
    )


def _tables_from_json(document: Mapping[str, Any], unpacker: _Unpacker) -> tuple[Table, ...]:
    tables: list[Table]
    if (qualities := document.get("qualities")) is not None:
        tables = [standard_table(number, quality) for number, quality in enumerate(qualities)]
    else:
        packed = unpacker.unpack(document["quantisation"]) or b""
        values = np.frombuffer(packed, dtype=">u2").reshape(-1, 64)
        tables = [tuple(int(value) for value in table) for table in values]
    if len(tables) > _MAX_TABLES:
        raise ValueError(f"{len(tables)} quantisation tables: a JPEG has {_MAX_TABLES} at most")
    return tuple(tables)
