"""An LR file, read and checked once, from which its photo can be restored many times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from rescaling_core import codecs, metadata
from rescaling_core.codecs import transcode
from rescaling_core.convert import residual
from rescaling_core.convert.outcome import restorer_of
from rescaling_core.convert.repacked import packed_file_of
from rescaling_core.errors import CodecError, RestorationMismatchError
from rescaling_core.metadata.checks import check_pixels
from rescaling_core.photo import decode_photo, decode_shown, stated_pixels
from rescaling_core.pixels.tiles import Tiling
from rescaling_core.plan import DEFAULT_MAX_PIXELS, PACKED, TRANSCODE
from rescaling_core.rescale.restoring import Restoration

if TYPE_CHECKING:
    from rescaling_core.convert import Models
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.zoo.restorers import LoadedRestorer


@dataclass(frozen=True, slots=True)
class OpenedLr:
    """An LR file whose pixels are decoded and are those that were measured."""

    data: bytes
    """The whole LR file."""
    metadata: RestorationMetadata
    lr: U8Array
    """(h, w, C): the decoded LR image; of a JPEG file that is stored bit for bit, its pixels."""
    frame: Photo
    """All that the source carried. Its pixels are blank, and take no memory."""

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return f"{self.metadata.source_key} at {self.metadata.target}"

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        alpha = 0 if self.frame.alpha is None else self.frame.alpha.nbytes
        return len(self.data) + self.lr.nbytes + alpha

    def restoration(self, models: Models) -> Restoration:
        """What the rescaler makes of the LR image, whole or in parts; for those with a rescaler.

        Raises:
            RestorationMismatchError: The weights are not those that were measured.
            WeightsNotFoundError: There are no such weights.
        """
        record = self.metadata
        model = models(record.rescaler, record.weights_sha256)
        if model.weights_sha256 != record.weights_sha256:
            raise RestorationMismatchError(
                f"{self.name}: made with weights {record.weights_sha256} of "
                f"{record.rescaler!r:.99}, not with {model.weights_sha256}"
            )
        return Restoration(
            model.rescaler,
            self.lr,
            (record.height, record.width),
            record.scale,
            seed=record.latent_seed,
            tiling=Tiling(tile=record.tile, overlap=record.overlap),
        )

    def restorer(self, models: Models) -> tuple[LoadedRestorer, float] | None:
        """What works behind the decoder, and the quality it is told; None if nothing does.

        Raises:
            RestorationMismatchError: The weights are not those that were measured.
            WeightsNotFoundError: There are no such weights.
        """
        record = self.metadata
        if record.restorer is None:
            return None
        loaded = restorer_of(models, record.restorer, record.weights_sha256)
        if loaded.weights_sha256 != record.weights_sha256 or record.quality is None:
            raise RestorationMismatchError(
                f"{self.name}: measured with weights {record.weights_sha256} of "
                f"{record.restorer!r:.99}, not with {loaded.weights_sha256}"
            )
        if loaded.network.scale != record.scale:
            raise RestorationMismatchError(
                f"{self.name}: {record.restorer!r:.99} is not for x{record.scale:g}"
            )
        sides = tuple(ceil(side / record.scale) for side in (record.height, record.width))
        if self.lr.shape[:2] != sides:
            raise RestorationMismatchError(
                f"{self.name}: an LR image of {self.lr.shape[:2]} does not restore to "
                f"{(record.height, record.width)} at x{record.scale:g}"
            )
        if record.is_filtered and loaded.final is None:
            raise RestorationMismatchError(f"{self.name}: {record.restorer!r:.99} has no filter")
        return loaded, record.quality

    def residual(self) -> U8Array | None:
        """What is added to the restoration: (H, W, C), or (H, W, 1) of luma; None if nothing is.

        Raises:
            RestorationMismatchError: It is missing, or not the one that was measured.
        """
        record = self.metadata
        if record.residual is None:
            return None
        shape = (record.height, record.width, record.channels)
        try:
            return residual.decoded(self.data, record.residual, shape, self.name)
        except CodecError as error:
            raise RestorationMismatchError(str(error)) from error


def open_lr(
    lr_data: bytes,
    *,
    recorded: RestorationMetadata | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> OpenedLr:
    """Decode an LR file and check that its pixels are those that were measured.

    Args:
        lr_data: The whole LR file.
        recorded: The catalog's copy of the metadata, which then has to agree with the file's.
        max_pixels: Width × height of the restored image above which nothing is decoded.

    Raises:
        MetadataError: The file holds no restoration metadata, or of an unknown version, or they
            ask for more than a restoration may take.
        RestorationMismatchError: The metadata or the LR pixels are not those that were measured,
            or it is a preview, which nothing can be restored from.
    """
    record = agreed(lr_data, recorded, max_pixels)
    if record.rescaler in PACKED:
        file = source_file_of(lr_data, record)
        photo = decode_shown(file, max_pixels=record.width * record.height)
        return OpenedLr(lr_data, record, photo.pixels, _blank(photo))
    if record.rescaler == TRANSCODE:
        jpeg = source_file_of(lr_data, record)
        photo = decode_photo(jpeg, max_pixels=record.width * record.height)
        return OpenedLr(lr_data, record, photo.pixels, _blank(photo))
    name = f"{record.source_key} at {record.target}"
    lr_pixels = record.lr_width * record.lr_height
    lr = codecs.decode(lr_data, channels=record.lr_planes, max_pixels=lr_pixels)
    if not metadata.pixels_agree(lr, record.lr_pixels_sha256):
        raise RestorationMismatchError(f"{name}: the LR pixels are not those that were measured")
    shape = (record.height, record.width, record.channels)
    blank = np.broadcast_to(np.uint8(0), shape)
    return OpenedLr(lr_data, record, lr, metadata.photo_from_restoration(blank, record, lr_data))


def _blank(photo: Photo) -> Photo:
    return replace(photo, pixels=np.broadcast_to(np.uint8(0), photo.pixels.shape))


def agreed(
    lr_data: bytes, recorded: RestorationMetadata | None, max_pixels: int
) -> RestorationMetadata:
    """The restoration metadata of an LR file that may be restored; see `open_lr`."""
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


def source_file_of(lr_data: bytes, embedded: RestorationMetadata) -> bytes:
    """The file that is stored bit for bit: a JPEG transcoded, or any file packed.

    Of a packed PNG it is the same but for how its rows are deflated.

    Raises:
        RestorationMismatchError: It is not the source.
    """
    name = f"{embedded.source_key} at {embedded.target}"
    if embedded.rescaler in PACKED:
        return packed_file_of(lr_data, embedded)
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
