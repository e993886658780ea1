"""The rows of the table `renditions`: what became of one source for one target.

A row is one of three: `Archived`, `Kept` or `Quarantined`. Each has the fields that make sense for
it and no others, so that nobody can ask a source that was kept for its LR object. All three are
records of one table; `tasks.catalog.schema` says in which columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import pyarrow as pa

from rescaling_core.quality.scores import Scores
from tasks.catalog.place import LrPlace

if TYPE_CHECKING:
    from rescaling_core.metadata import RestorationMetadata

State = Literal["archived", "kept", "quarantined"]
"""How a source ended for a target. Every listed source ends in exactly one of them."""

Origin = Literal["source", "restored image"]

Int32 = Annotated[int, pa.int32()]
"""A number whose column takes 32 bits."""

Committed = Annotated[datetime | None, "never null"]
"""A time that a record lacks until the commit sets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row(Scores):
    """What the rows of all states have.

    The scores are of the restoration against what `origin` names. A row that was kept has those of
    the best candidate, and a row in quarantine has none.
    """

    source_key: str
    """Relative to the collection."""
    source_etag: str
    """The store's change mark when the source was listed."""
    source_size: int
    """Bytes."""
    source_sha256: str | None = None
    """SHA-256 of the source's bytes; None if they could not be read."""
    target: str
    """Such as `x2`. With `source_key` it identifies the row."""
    seconds: float | None = None
    """Seconds spent on the conversion; None in a row that was made again from an LR file."""
    shard_id: str
    run_id: str
    """Of the run that committed the row."""
    committed_at: Committed = None
    """Set by the commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived(_Row):
    """A rendition lies in storage: an LR file, which is a preview where it has no scores."""

    state: Literal["archived"] = field(default="archived", init=False)
    lr_key: str
    """Key of the LR object, relative to the archive; the name of the LR file, if it is in a pack.
    """
    lr_bytes: int
    """Size of the LR file."""
    lr_sha256: str
    """SHA-256 of the LR file."""
    rescaler: str
    """Id of the rescaler that restores it."""
    weights_sha256: str
    """SHA-256 of the rescaler's weights; empty for filters, which have none."""
    scale: float
    """HR side / LR side."""
    codec: str
    quality: Int32 | None = None
    """On the codec's own scale; None if it has none."""
    width: Int32
    """Width of the HR image in pixels."""
    height: Int32
    """Height of the HR image in pixels."""
    mode: str
    """Pixel mode of the HR image, such as RGB."""
    refinement: Int32 | None = None
    """Steps by which the LR image was refined; None for none."""
    origin: Origin | None = None
    """What the rendition was made from, and its scores compare with; None in rows that were
    written before this column was added."""
    metadata_json: str | None = None
    """The whole restoration metadata, as embedded in the LR file; None if it was not read."""
    strategies_json: str | None = None
    """What each strategy of the plan would have stored; see `tasks.catalog.strategies`. LR files do
    not hold it, so that rows of a rebuilt catalog lack it."""
    pack_key: str | None = None
    """Key of the pack that holds the LR file; None where it is an object itself."""
    pack_offset: int | None = None
    """Of the LR file's first byte in the pack."""

    @property
    def pixels(self) -> int:
        """Number of pixels of the HR image."""
        return self.width * self.height

    @property
    def place(self) -> LrPlace:
        """Where the LR file lies."""
        return LrPlace(**{one.name: getattr(self, one.name) for one in fields(LrPlace)})

    @property
    def recorded(self) -> RestorationMetadata:
        """The restoration metadata.

        Raises:
            MetadataError: The row holds none that can be read.
        """
        # Those who only list rows are spared the loading of the networks.
        from rescaling_core.metadata import RestorationMetadata

        return RestorationMetadata.from_json(self.metadata_json or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(_Row):
    """The source stays as it is, since no rendition of it was good enough, or none is possible.

    What follows `depends_on` describes the best candidate; all of it is None if there was none.
    """

    state: Literal["kept"] = field(default="kept", init=False)
    reason: str
    """Why the source was kept."""
    depends_on: str | None = None
    """The circumstances under which it is kept, such as `max_pixels=200000000`: under others it is
    looked at again. None where they do not matter, and in rows that were written before this
    column was added."""
    rescaler: str | None = None
    weights_sha256: str | None = None
    scale: float | None = None
    codec: str | None = None
    quality: Int32 | None = None
    width: Int32 | None = None
    height: Int32 | None = None
    mode: str | None = None
    refinement: Int32 | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined(_Row):
    """The source could not be read or converted."""

    state: Literal["quarantined"] = field(default="quarantined", init=False)
    reason: str
    """What went wrong."""
    error_class: str
    """Name of the error, or of the kind of trouble."""
    depends_on: str | None = None
    """As in `Kept`."""


CatalogRow = Archived | Kept | Quarantined
"""What became of one source for one target."""
