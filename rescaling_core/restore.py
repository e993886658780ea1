"""LR bytes in, the restored photo out, checked against what was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rescaling_core import codecs, metadata
from rescaling_core.errors import RestorationMismatchError
from rescaling_core.rescale import Tiling, restore_pixels

if TYPE_CHECKING:
    from rescaling_core.convert import Models
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.photo import Photo


def restore(
    lr_data: bytes, models: Models, *, recorded: RestorationMetadata | None = None
) -> Photo:
    """Restore a photo from an LR file alone.

    Args:
        lr_data: The whole LR file.
        models: Gives the rescaler that the metadata names.
        recorded: The catalog's copy of the metadata, which then has to agree with the file's.

    Returns:
        The restored photo, with all that the source carried.

    Raises:
        MetadataError: The file holds no restoration metadata, or of an unknown version.
        RestorationMismatchError: The LR pixels, the weights, the metadata or the restored image
            are not those that were measured.
    """
    embedded = metadata.read_metadata(lr_data)
    if recorded is not None and recorded != embedded:
        raise RestorationMismatchError(
            f"{embedded.source_key}: the LR file and the catalog disagree on how it was made"
        )
    name = f"{embedded.source_key} at {embedded.target}"
    if embedded.fingerprint is None:
        raise RestorationMismatchError(f"{name}: a preview, which nothing can be restored from")
    lr = codecs.decode(lr_data, channels=embedded.channels)
    if metadata.pixels_digest(lr) != embedded.lr_pixels_sha256:
        raise RestorationMismatchError(f"{name}: the LR pixels are not those that were measured")
    model = models(embedded.rescaler)
    if model.weights_sha256 != embedded.weights_sha256:
        raise RestorationMismatchError(
            f"{name}: made with other weights of {embedded.rescaler} ({embedded.weights_sha256}) "
            f"than the installed ones ({model.weights_sha256})"
        )
    restored = restore_pixels(
        model.rescaler,
        lr,
        (embedded.height, embedded.width),
        embedded.scale,
        seed=embedded.latent_seed,
        tiling=Tiling(tile=embedded.tile, overlap=embedded.overlap),
    )
    if not metadata.fingerprint_agrees(restored, embedded.fingerprint):
        raise RestorationMismatchError(f"{name}: the restored image is not the one measured")
    return metadata.photo_from_restoration(restored, embedded, lr_data)
