"""The parts of a record that are objects themselves: a residual, a filter fitted to the picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from rescaling_core.errors import MetadataError
from rescaling_core.fitted import FittedFilter

FITTED_VERSION: Final = 3
"""Of the record: earlier releases would leave the filter out without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualRecord:
    """A coded residual that lies in the LR file; see `rescaling_core.convert.residual`."""

    codec: str
    """As `CodecSpec.parse` reads it."""
    quality: int | None
    """In the codec's own scale; None for lossless."""
    nbytes: int
    """Of the coded residual; part of the LR file's."""
    sha256: str
    """Of the coded residual; in version 2 its first 16 bytes."""
    luma: bool | None = None
    """Whether it is one plane, what is missing of luma, which is added to all channels alike."""
    filtered: bool | None = None
    """Whether the sum goes through the final filter that the restorer's weights hold."""

    def to_json(self) -> dict[str, Any]:
        """What is not stated is left out."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in _OPTIONAL or value is not None
        }


_REQUIRED: Final[dict[str, tuple[type, ...]]] = {
    "codec": (str,),
    "quality": (int, type(None)),
    "nbytes": (int,),
    "sha256": (str,),
}
_OPTIONAL: Final[dict[str, tuple[type, ...]]] = dict.fromkeys(
    ("luma", "filtered"), (bool, type(None))
)


def residual_of(document: Any) -> ResidualRecord | None:
    """Read a residual.

    Raises:
        MetadataError: It is damaged.
    """
    if document is None:
        return None
    try:
        known = {name: document[name] for name in _REQUIRED}
        optional = {name: document.get(name) for name in _OPTIONAL}
        record = ResidualRecord(**known, **optional)
    except (KeyError, TypeError, AttributeError) as error:
        raise MetadataError(f"restoration metadata: residual: {error}") from error
    for name, types in (_REQUIRED | _OPTIONAL).items():
        if not isinstance(getattr(record, name), types):
            raise MetadataError(f"restoration metadata: residual: {name} is damaged")
    return record


def fitted_of(document: Any, rescaler: str, version: int) -> FittedFilter | None:
    """Read a filter fitted to the picture.

    Raises:
        MetadataError: It is damaged, or the record is none that may have one.
    """
    if document is None:
        if version >= FITTED_VERSION:
            raise MetadataError(f"restoration metadata: version {version} without a fitted filter")
        return None
    if rescaler != "none" or version < FITTED_VERSION:
        raise MetadataError(
            f"restoration metadata: a fitted filter behind {rescaler!r:.80} in version {version}: "
            f"full-size files since version {FITTED_VERSION} have one"
        )
    try:
        return FittedFilter.from_json(document)
    except ValueError as error:
        raise MetadataError(f"restoration metadata: fitted: {error}") from error
