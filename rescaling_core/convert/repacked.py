"""Sources that no photo can be made of without loss: their file, packed, beside a picture of it."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from rescaling_core import codecs, metadata
from rescaling_core.codecs import attachment
from rescaling_core.containers import png
from rescaling_core.convert.draft import draft_metadata
from rescaling_core.convert.outcome import Kept, Rendition
from rescaling_core.errors import CodecError, RestorationMismatchError
from rescaling_core.plan import REPACK, Target
from rescaling_core.repack import MOST_UNPACKED, pack, same_file, unpack

if TYPE_CHECKING:
    from rescaling_core.codecs import Encode
    from rescaling_core.convert.outcome import SourceRef
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.photo import Photo
    from rescaling_core.plan import TargetPlan

_PICTURE: Final = Target(long_edge=256)
"""Of what is there to be looked at. It is no part of what is restored."""


def repack(
    photo: Photo,
    source: SourceRef,
    plan: TargetPlan,
    software: str,
    *,
    data: bytes | None,
    encode: Encode | None = None,
) -> Rendition | Kept:
    """Pack the file of a source, if the plan has a candidate for that.

    The packed file is put together again from the LR file as it is stored, and compared with the
    source byte for byte; of a PNG all but how its rows are deflated.

    Args:
        photo: What can be shown of it.
        source: Where it came from.
        plan: The target and its candidates.
        software: Name and version to record.
        data: The source's bytes; None where there is only a restored picture.
        encode: Encodes the picture; by default `codecs.encode`.
    """
    target = plan.target
    candidate = next((one for one in plan.candidates if one.rescaler == REPACK), None)
    if candidate is None or data is None:
        return Kept(target=target, reason=f"only a part could be restored: {photo.made_from}")
    lr = _picture(photo)
    draft = draft_metadata(photo, source, target, candidate, lr, software)
    try:
        packed = pack(data)
        if len(packed) >= source.size:
            return _not_smaller(target, len(packed), source.size)
        bare = (encode or codecs.encode)(lr, candidate.codec)
        pixels = codecs.decode(bare, channels=int(lr.shape[2]))
        final = replace(
            draft,
            lr_pixels_sha256=metadata.pixels_digest(pixels)[: metadata.DIGEST_DIGITS],
            psnr_y=inf,
            ssim_y=1.0,
            max_abs_error=0,
            tried=1,
        )
        lr_data = metadata.finalise(attachment.attach(bare, "pack", packed), final)
    except (CodecError, ValueError) as error:
        return Kept(target=target, reason=f"its file cannot be packed: {error}", tried=1)
    if len(lr_data) >= source.size:
        return _not_smaller(target, len(lr_data), source.size)
    if metadata.read_metadata(lr_data) != final:
        raise RestorationMismatchError(
            f"{source.key} at {target.name}: the LR file does not read back as written"
        )
    if not same_file(packed_file_of(lr_data, final), data):
        return Kept(target=target, reason="its file, packed, does not come back", tried=1)
    extension = codecs.extension(candidate.codec)
    return Rendition(target=target, lr_data=lr_data, extension=extension, metadata=final)


def packed_file_of(lr_data: bytes, embedded: RestorationMetadata) -> bytes:
    """The source file that lies packed in an LR file, proven by its digest.

    Of a PNG that is the digest with its rows inflated.

    Raises:
        RestorationMismatchError: It is missing, damaged, or another file.
    """
    name = f"{embedded.source_key} at {embedded.target}"
    try:
        packed = attachment.read(lr_data, "pack")
        if packed is None:
            raise RestorationMismatchError(f"{name}: the LR file has lost the packed source")
        data = unpack(packed, most=MOST_UNPACKED)
    except (CodecError, ValueError) as error:
        raise RestorationMismatchError(f"{name}: {error}") from error
    is_source = metadata.bytes_digest(data) == embedded.source_sha256
    if not is_source and not data.startswith(png.SIGNATURE):
        raise RestorationMismatchError(f"{name}: the file that comes back is not the source")
    return data


def _not_smaller(target: Target, found: int, size: int) -> Kept:
    return Kept(
        target=target,
        reason=f"not smaller: packed, its file takes {found} bytes, the source {size}",
        tried=1,
    )


def _picture(photo: Photo) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """(h, w, C)."""
    samples = photo.pixels[..., 0] if photo.pixels.shape[2] == 1 else photo.pixels
    size = _PICTURE.preview_size(photo.width, photo.height)
    small = Image.fromarray(samples).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(small).reshape(size[1], size[0], -1)
