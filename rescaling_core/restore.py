"""LR bytes in, the restored photo out, checked against what was recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rescaling_core import metadata
from rescaling_core.convert import residual
from rescaling_core.errors import RestorationMismatchError
from rescaling_core.fitted import filtered
from rescaling_core.opened import agreed, open_lr, source_file_of
from rescaling_core.pixels import differences
from rescaling_core.pixels.grey import as_grey
from rescaling_core.plan import AS_STORED, DEFAULT_MAX_PIXELS, OWN_FILE
from rescaling_core.regions import view
from rescaling_core.rescale.decoded import restore_decoded

if TYPE_CHECKING:
    from rescaling_core.convert import Models
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.opened import OpenedLr
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.area import Area


def restore(
    lr_data: bytes,
    models: Models,
    *,
    recorded: RestorationMetadata | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    region: Area | None = None,
    size: tuple[int, int] | None = None,
) -> Photo:
    """Restore a photo, or a region of one, from an LR file alone.

    Args:
        lr_data: The whole LR file.
        models: Gives the rescaler whose digest the metadata name.
        recorded: The catalog's copy of the metadata, which then has to agree with the file's.
        max_pixels: Width × height of the whole photo above which nothing is decoded.
        region: Of the photo as stored; all of it by default. Only the tiles that it needs are
            restored.
        size: (width, height) to give the region; by default its own. A size at or below that
            of the LR image is made from it, without a network.

    Returns:
        The restored photo, with all that the source carried.

    Raises:
        MetadataError: The file holds no restoration metadata, or of an unknown version, or they
            ask for more than a restoration may take.
        RestorationMismatchError: The LR pixels, the weights, the metadata, the residual or the
            whole restored image are not those that were measured.
        UsageError: The region does not lie within the photo, or the size is not one.
        WeightsNotFoundError: `models` has no weights of that digest.
    """
    opened = open_lr(lr_data, recorded=recorded, max_pixels=max_pixels)
    if region is not None or size is not None:
        return view(opened, models, region, size)
    return restore_whole(opened, models)


def restore_whole(opened: OpenedLr, models: Models) -> Photo:
    """Restore all of an LR file that is open.

    Raises:
        RestorationMismatchError: The weights, the residual or the restored image are not those
            that were measured.
        WeightsNotFoundError: `models` has no weights of that digest.
    """
    record = opened.metadata
    behind = opened.restorer(models)
    if behind is not None:
        loaded, quality = behind
        restored = restore_decoded(opened.lr, quality, loaded.network)
        restored = restored[: record.height, : record.width]
    elif record.rescaler in AS_STORED:
        restored = opened.lr
    else:
        restored = opened.restoration(models).whole()
    if record.channels == 1:
        restored = as_grey(restored)
    if (missing := opened.residual()) is not None:
        total = differences.add(restored, missing)
        if behind is not None and behind[0].final is not None and record.is_filtered:
            total = residual.filtered(behind[0].final.network, restored, total, record)
        restored = total
    if record.fitted is not None:
        restored = filtered(restored, record.fitted)
    checked_already = record.fingerprint is None and record.is_told_by_pixels
    if not checked_already and not metadata.fingerprint_agrees(restored, record.fingerprint):
        raise RestorationMismatchError(f"{opened.name}: the restored image is not the one measured")
    return replace(opened.frame, pixels=restored)


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
    embedded = agreed(lr_data, recorded, max_pixels)
    return source_file_of(lr_data, embedded) if embedded.rescaler in OWN_FILE else None
