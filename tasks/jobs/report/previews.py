"""Small pictures of stored and restored images, to be shown in a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from rescaling_core import codecs
from rescaling_core.containers import exif
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.photo import Photo
from rescaling_core.photo.encode import as_image
from rescaling_core.pixels.arrays import U8Array
from rescaling_core.plan import AS_STORED, PACKED
from rescaling_core.quality.measure import Measure
from rescaling_core.quality.scores import Scores, known
from tasks.catalog import Archived
from tasks.control.outcomes import Failure, outcome_of
from tasks.renditions.restoring import Renditions
from tasks.storage import Store

LONG_EDGE: Final = 640
"""Longest side of a preview, in pixels."""

_QUALITY: Final = 90
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that makes an image upright, by its EXIF orientation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """An image as a page shows it."""

    uri: str
    """The picture as a data URI."""
    width: int
    """Width in pixels of the picture that is shown."""
    height: int
    full_width: int
    """Width in pixels of the picture it was made from, turned as it is seen."""
    full_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A rendition beside what is restored from it now, or why that was refused."""

    row: Archived
    stored: Preview | None = None
    """Preview of the LR object; None if the object could not be read."""
    restored: Preview | None = None
    refusal: str | None = None
    """Why there is no restored image."""
    recorded: Scores | None = None
    """What was measured when it was archived; None where the LR object could not be read."""
    strategy: str = ""
    """Name of the strategy that made the rendition."""

    @property
    def scores(self) -> list[tuple[Measure, float]]:
        """What is known to have been measured, by the catalog where the LR object is silent."""
        return list(known(self.recorded or self.row))

    @property
    def stored_name(self) -> str:
        """What the picture is that is shown of the stored file."""
        if self.row.rescaler in PACKED:
            return "Picture"
        return "Stored file" if self.row.rescaler in AS_STORED else "LR image"

    @property
    def stored_title(self) -> str:
        """The same as a caption."""
        if self.row.rescaler in PACKED:
            return "stored: a picture to look at, beside the packed file"
        if self.row.rescaler in AS_STORED:
            return "stored: the picture at full size"
        return "LR: what is stored"


def show(archive: Store, row: Archived) -> Shown:
    """Restore a rendition from storage, with every check that a restoration goes through.

    Args:
        archive: The store.
        row: Of no preview.

    Raises:
        StorageError: The store fails for a while, so that nothing is known of the rendition.
    """
    stored: Preview | None = None

    def restored() -> tuple[RestorationMetadata, Photo]:
        nonlocal stored
        rendition = Renditions(archive).read(row)
        recorded = row.recorded
        extras = codecs.read_extras(rendition.data)
        stored = preview(
            _image(codecs.decode(rendition.data, channels=recorded.lr_planes)),
            orientation=exif.orientation(extras.exif),
            icc=extras.icc,
        )
        return recorded, rendition.photo()

    found = outcome_of(row.lr_key or row.source_key, restored)
    if isinstance(found, Failure):
        return Shown(row=row, stored=stored, refusal=str(found))
    recorded, photo = found
    return Shown(
        row=row,
        stored=stored,
        restored=preview(as_image(photo), orientation=photo.orientation, icc=photo.icc),
        recorded=recorded,
        strategy=recorded.strategy,
    )


def preview(image: Image.Image, *, orientation: int = 1, icc: bytes | None = None) -> Preview:
    """Make an image small enough for a page.

    Args:
        image: Grey or RGB, with or without alpha.
        orientation: By EXIF, 1 to 8.
        icc: The profile of its colours, which goes with it.
    """
    if (turn := _TURNS.get(orientation)) is not None:  # the first of them is 0
        image = image.transpose(turn)
    small = image.copy()
    small.thumbnail((LONG_EDGE, LONG_EDGE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if "A" in small.getbands():
        kind = "png"
        small.save(buffer, "PNG", icc_profile=icc)
    else:
        kind = "jpeg"
        small.save(buffer, "JPEG", quality=_QUALITY, subsampling="4:4:4", icc_profile=icc)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Preview(
        uri=f"data:image/{kind};base64,{text}",
        width=small.width,
        height=small.height,
        full_width=image.width,
        full_height=image.height,
    )


def _image(pixels: U8Array) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
