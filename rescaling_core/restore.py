"""LR bytes in, the restored photo out, checked against what was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rescaling_core import codecs, metadata
from rescaling_core.codecs import transcode
from rescaling_core.convert import residual
from rescaling_core.convert.outcome import restorer_of
from rescaling_core.errors import CodecError, RestorationMismatchError
from rescaling_core.metadata.checks import check_pixels
from rescaling_core.photo import decode_photo, stated_pixels
from rescaling_core.pixels.grey import as_grey
from rescaling_core.pixels.tiles import Tiling
from rescaling_core.plan import DEFAULT_MAX_PIXELS, FULL_SIZE, TRANSCODE
from rescaling_core.rescale import restore_pixels
from rescaling_core.rescale.decoded import restore_decoded

if TYPE_CHECKING:
    from rescaling_core.convert import Models
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array


def restore(
    lr_data: bytes,
    models: Models,
    *,
    recorded: RestorationMetadata | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Photo:
    """Restore a photo from an LR file alone.

    Args:
        lr_data: The whole LR file.
        models: Gives the rescaler whose digest the metadata name.
        recorded: The catalog's copy of the metadata, which then has to agree with the file's.
        max_pixels: Width × height above which nothing is decoded.

    Returns:
        The restored photo, with all that the source carried.

    Raises:
        MetadataError: The file holds no restoration metadata, or of an unknown version, or they
            ask for more than a restoration may take.
        RestorationMismatchError: The LR pixels, the weights, the metadata, the residual or the
            restored image are not those that were measured.
        WeightsNotFoundError: `models` has no weights of that digest.
    """
    embedded = _agreed(lr_data, recorded, max_pixels)
    if embedded.rescaler == TRANSCODE:
        jpeg = _source_file(lr_data, embedded)
        return decode_photo(jpeg, max_pixels=embedded.width * embedded.height)
    name = f"{embedded.source_key} at {embedded.target}"
    lr_pixels = embedded.lr_width * embedded.lr_height
    lr = codecs.decode(lr_data, channels=embedded.lr_planes, max_pixels=lr_pixels)
    if not metadata.pixels_agree(lr, embedded.lr_pixels_sha256):
        raise RestorationMismatchError(f"{name}: the LR pixels are not those that were measured")
    restored = lr if embedded.rescaler == FULL_SIZE else _rescaled(lr, embedded, models, name)
    if embedded.restorer is not None:
        loaded = restorer_of(models, embedded.restorer, embedded.weights_sha256)
        if loaded.weights_sha256 != embedded.weights_sha256 or embedded.quality is None:
            raise RestorationMismatchError(
                f"{name}: measured with weights {embedded.weights_sha256} of "
                f"{embedded.restorer!r:.99}, not with {loaded.weights_sha256}"
            )
        restored = restore_decoded(restored, embedded.quality, loaded.network)
    if embedded.channels == 1:
        restored = as_grey(restored)
    if embedded.residual is not None:
        try:
            restored = residual.restore_with(restored, lr_data, embedded.residual, name)
        except CodecError as error:
            raise RestorationMismatchError(str(error)) from error
    checked_already = embedded.fingerprint is None and embedded.is_as_stored
    if not checked_already and not metadata.fingerprint_agrees(restored, embedded.fingerprint):
        raise RestorationMismatchError(f"{name}: the restored image is not the one measured")
    return metadata.photo_from_restoration(restored, embedded, lr_data)


def restore_source_file(
    lr_data: bytes,
    *,
    recorded: RestorationMetadata | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> bytes | None:
    """Give back the source's own bytes, where the LR file holds them all.

    Args:
        lr_data: The whole LR file.
        recorded: As for `restore`.
        max_pixels: As for `restore`.

    Returns:
        The source file, checked against its recorded digest; None if the rendition is of another
        kind, from which a photo is restored but not the file it was.

    Raises:
        MetadataError: The file holds no restoration metadata, or of an unknown version.
        RestorationMismatchError: It does not give back the source.
    """
    embedded = _agreed(lr_data, recorded, max_pixels)
    return _source_file(lr_data, embedded) if embedded.rescaler == TRANSCODE else None


def _agreed(
    lr_data: bytes, recorded: RestorationMetadata | None, max_pixels: int
) -> RestorationMetadata:
    embedded = metadata.read_metadata(lr_data)
    check_pixels(embedded, max_pixels)
    name = f"{embedded.source_key} at {embedded.target}"
    if recorded is not None and recorded != embedded:
        raise RestorationMismatchError(
            f"{embedded.source_key}: the LR file and the catalog disagree on how it was made"
        )
    if embedded.is_preview:
        raise RestorationMismatchError(f"{name}: a preview, which nothing can be restored from")
    return embedded


def _source_file(lr_data: bytes, embedded: RestorationMetadata) -> bytes:
    name = f"{embedded.source_key} at {embedded.target}"
    stated = stated_pixels(lr_data)
    if stated is None or stated > embedded.width * embedded.height:
        # A decoder that finds no JPEG in it would decode pixels instead, however many.
        raise RestorationMismatchError(f"{name}: the LR file is of another size than recorded")
    try:
        data = transcode.to_jpeg(lr_data)
    except CodecError as error:
        raise RestorationMismatchError(f"{name}: {error}") from error
    if metadata.bytes_digest(data) != embedded.source_sha256:
        raise RestorationMismatchError(f"{name}: the file that comes back is not the source")
    return data


def _rescaled(lr: U8Array, embedded: RestorationMetadata, models: Models, name: str) -> U8Array:
    model = models(embedded.rescaler, embedded.weights_sha256)
    if model.weights_sha256 != embedded.weights_sha256:
        raise RestorationMismatchError(
            f"{name}: made with weights {embedded.weights_sha256} of {embedded.rescaler!r:.99}, "
            f"not with {model.weights_sha256}"
        )
    return restore_pixels(
        model.rescaler,
        lr,
        (embedded.height, embedded.width),
        embedded.scale,
        seed=embedded.latent_seed,
        tiling=Tiling(tile=embedded.tile, overlap=embedded.overlap),
    )
