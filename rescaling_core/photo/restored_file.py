"""The restored file of a photo, and the proof that it gives everything back.

`refold restore` writes what `restored_file` makes. Conversion and `retire` make the same file, read
it back and compare it, before they commit or delete anything: `prove_given_back`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.errors import CodecError, NotGivenBackError, PhotoError
from rescaling_core.photo.beside import CHUNK, EXTENSION, parts_beside, unzipped, zipped
from rescaling_core.photo.decode import decode_photo
from rescaling_core.photo.encode import added_chunks, encode_photo, restored_extension
from rescaling_core.photo.restored_formats import (
    EXTENSIONS,
    RestoredFormat,
    own_format,
    written_as,
)

if TYPE_CHECKING:
    from rescaling_core.photo.record import Photo
    from rescaling_core.pixels.arrays import U8Array

FORMAT: Final = "PNG"
_FIELDS: Final = ("mode", "format", "icc", "exif", "xmp", "dpi", "traits")
_ANY: Final = 2**30
"""Bytes: more than any photo carries."""
USUAL_EFFORT: Final = 3
"""zlib's level of restored PNGs. With the zlib-ng of Pillow's wheels it takes two fifths of the
time of level 6, for the same bytes: `python -m benchmarks.png_levels`."""
_FASTEST: Final = 0
"""zlib's level for a file that is only made to be read back."""
_CLOSE: Final = 0.02
"""Dots per inch: PNG states a density in whole pixels a metre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredFile:
    """What a restored photo is written as."""

    data: bytes
    """The picture."""
    extension: str
    """Of the picture, with its dot."""
    extras: bytes | None = None
    """A zip of what the picture's format has no place for; None if there is nothing."""
    extras_extension: str = EXTENSION
    """What the zip's name has behind that of the picture."""


def restored_file(
    photo: Photo, *, effort: int | None = None, format: RestoredFormat = "png"
) -> RestoredFile:
    """Write a photo as it is restored, and beside it what the format has no place for.

    Args:
        photo: The restored photo.
        effort: zlib's level for a PNG, by default a fast one.
        format: Of the file.

    Raises:
        CodecError: It cannot be written.
    """
    wanted = own_format(photo.format) if format == "source" else format
    if wanted != "png":
        try:
            return _in_other_format(photo, wanted)
        except CodecError:
            if format != "source":
                raise
    beside = parts_beside(photo)
    effort = USUAL_EFFORT if effort is None else effort
    return RestoredFile(
        data=encode_photo(photo, format=FORMAT, effort=effort),
        extension=restored_extension(FORMAT),
        extras=zipped(beside, photo.format) if beside else None,
    )


def _in_other_format(photo: Photo, format: str) -> RestoredFile:
    found = written_as(photo, format)
    return RestoredFile(
        data=found.data,
        extension=EXTENSIONS[format][0],
        extras=zipped(found.beside, photo.format) if found.beside else None,
    )


def prove_given_back(
    restored: Photo, source: Photo, file: RestoredFile | None = None, *, rows: int | None = None
) -> None:
    """Prove that a restored photo carries all that its source did, and that its file holds it.

    The samples of the file are compared with those of the restored photo; how near those are to
    the source's is for the caller to measure.

    Args:
        restored: What came out of the LR file.
        source: What the source decodes to.
        file: The file that was written of it; by default it is made here, without compression.
        rows: Of a file that is made here, the rows of the picture that it holds, by default all.
            What a photo carries does not depend on them, and a large file takes seconds.

    Raises:
        NotGivenBackError: It says what is missing.
    """
    missing = [name for name in _FIELDS if getattr(restored, name) != getattr(source, name)]
    if not _same(restored.alpha, source.alpha):
        missing.append("alpha")
    if restored.pixels.shape != source.pixels.shape:
        missing.append("size")
    if missing:
        raise NotGivenBackError(f"the restoration lacks the source's {', '.join(missing)}")
    if file is None and rows is not None:
        restored = _cropped(restored, rows)
    try:
        file = file or restored_file(restored, effort=_FASTEST)
        back = decode_photo(
            file.data,
            max_pixels=restored.width * restored.height,
            max_carried=_ANY,
        )
    except (CodecError, PhotoError) as error:
        raise NotGivenBackError(f"no restored file can be made: {error}") from error
    missing = _missing(back, restored, file)
    if missing:
        raise NotGivenBackError(f"the restored file lacks the source's {', '.join(missing)}")


def _cropped(photo: Photo, rows: int) -> Photo:
    alpha = None if photo.alpha is None else photo.alpha[:rows]
    return replace(photo, pixels=photo.pixels[:rows], alpha=alpha)


def _missing(back: Photo, photo: Photo, file: RestoredFile) -> list[str]:
    """What of a photo its restored file, read back, does not hold."""
    missing = []
    if not np.array_equal(back.pixels, photo.pixels) or not _same(back.alpha, photo.alpha):
        missing.append("samples")
    missing += [
        name
        for name in ("mode", "icc", "exif", "xmp")
        if getattr(back, name) != getattr(photo, name)
    ]
    if not _same_density(back, photo):
        missing.append("dpi")
    lost = Counter(added_chunks(photo)) - Counter(back.traits.png_chunks)
    missing += sorted({f"chunk {kind}" for kind, _ in lost})
    beside = parts_beside(photo)
    if beside:
        held = dict(back.traits.png_chunks).get(CHUNK)
        if file.extras is None or unzipped(file.extras) != beside or held is None:
            missing.append("parts that PNG has no place for")
    return missing


def _same(a: U8Array | None, b: U8Array | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b)


def _same_density(back: Photo, photo: Photo) -> bool:
    if back.dpi is None or photo.dpi is None:
        return back.dpi is photo.dpi
    return all(abs(a - b) <= _CLOSE * max(1, b) for a, b in zip(back.dpi, photo.dpi, strict=True))
