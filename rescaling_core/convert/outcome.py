"""What goes into a conversion beside the photo, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rescaling_core.errors import CheckpointError, UsageError, WeightsNotFoundError
from rescaling_core.zoo import restorers

if TYPE_CHECKING:
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.plan import Target
    from rescaling_core.plan.rival import Rival
    from rescaling_core.zoo import LoadedRescaler
    from rescaling_core.zoo.restorers import LoadedRestorer


class Models(Protocol):
    """Gives networks with their weights."""

    def __call__(self, rescaler: str, weights_sha256: str | None = None, /) -> LoadedRescaler:
        """Look a rescaler up.

        Args:
            rescaler: What a plan or a record calls it.
            weights_sha256: The digest that was recorded when a rendition was made. It alone
                decides then; the id is only what the weights were called. None where a plan
                asks, which gets the newest of that id.
        """


@runtime_checkable
class WithRestorers(Protocol):
    """What gives rescalers may give restorers too."""

    def restorer(self, name: str, weights_sha256: str | None = None, /) -> LoadedRestorer:
        """Look a restorer up, as a rescaler is."""


def restorer_of(models: Models, name: str, weights_sha256: str | None = None) -> LoadedRestorer:
    """A restorer from where the models come from, or else one that ships with Refold.

    Raises:
        WeightsNotFoundError: There are no such weights.
    """
    if isinstance(models, WithRestorers):
        return models.restorer(name, weights_sha256)
    try:
        return restorers.load(name, weights_sha256)
    except (UsageError, CheckpointError) as error:
        raise WeightsNotFoundError(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """The HR object as it lies in storage."""

    key: str
    etag: str
    size: int
    """Bytes."""
    sha256: str
    restored: bool = False
    """Whether the photo is not the source itself, but was restored from another rendition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """The stored result for one source and one target."""

    target: Target
    lr_data: bytes
    """The LR file, restoration metadata embedded."""
    extension: str
    """With its dot."""
    metadata: RestorationMetadata
    rivals: tuple[Rival, ...] = ()
    """What each strategy of the plan would have stored, the one that won among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """No rendition for this target: the source stays as it is, and why."""

    target: Target
    reason: str
    best: RestorationMetadata | None = None
    """What the best candidate reached, if one was made."""
    tried: int = 0
    """Candidates that were encoded, restored and measured."""
