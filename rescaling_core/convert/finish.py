"""The last step: the measures go into the file, which is then read back once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core import codecs, metadata
from rescaling_core.codecs import attachment, transcode
from rescaling_core.convert.outcome import Rendition
from rescaling_core.errors import MetadataError, NotGivenBackError, RestorationMismatchError
from rescaling_core.photo.restored_file import prove_given_back
from rescaling_core.plan import TRANSCODE

if TYPE_CHECKING:
    from rescaling_core.convert.trial import Encoded
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.plan import Target

_PROVEN_ROWS: Final = 256
"""Rows of the restored file that is made to prove that it can be, and holds all it must."""


def finish(target: Target, encoded: Encoded, final: RestorationMetadata) -> Rendition:
    """Write the metadata into the file and prove that file and pixels are still what they were.

    Raises:
        RestorationMismatchError: They are not.
    """
    lr_data = metadata.finalise(encoded.data, final)
    if final.rescaler == TRANSCODE:
        same = metadata.bytes_digest(transcode.to_jpeg(lr_data)) == final.source_sha256
    else:
        same = _same_pixels(lr_data, encoded.pixels) and _same_residual(lr_data, final)
    if not same or metadata.read_metadata(lr_data) != final:
        raise RestorationMismatchError(
            f"{final.source_key} at {final.target}: the LR file does not read back as written"
        )
    return Rendition(
        target=target,
        lr_data=lr_data,
        extension=codecs.extension(encoded.candidate.codec),
        metadata=final,
    )


def prove(rendition: Rendition, restored: U8Array, source: Photo) -> None:
    """Make the restored file of a rendition, and prove that it gives back what the source carried.

    A JPEG that was transcoded comes back as the file it was, which `finish` has proven.

    Args:
        rendition: What is to be stored.
        restored: (H, W, C), what is restored from it.
        source: The photo.

    Raises:
        NotGivenBackError: It says what is missing.
    """
    if rendition.metadata.rescaler == TRANSCODE:
        return
    try:
        back = metadata.photo_from_restoration(restored, rendition.metadata, rendition.lr_data)
    except MetadataError as error:
        raise NotGivenBackError(str(error)) from error
    prove_given_back(back, source, rows=_PROVEN_ROWS)


def _same_pixels(lr_data: bytes, pixels: U8Array) -> bool:
    return np.array_equal(codecs.decode(lr_data, channels=int(pixels.shape[2])), pixels)


def _same_residual(lr_data: bytes, final: RestorationMetadata) -> bool:
    if final.residual is None:
        return True
    coded = attachment.read(lr_data, "rsdl")
    return coded is not None and metadata.bytes_digest(coded).startswith(final.residual.sha256)
