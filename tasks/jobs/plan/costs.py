"""What a collection would cost under plans, as the command and its page tell it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.catalog.strategies import StrategyCost
from tasks.pages.prices import months_to_pay


@dataclass(slots=True, kw_only=True)
class ClassCost:
    """What a plan makes of one class of sources in the sample, such as TIFF of 16 bits."""

    sources: int = 0
    source_bytes: int = 0
    stored_bytes: int = 0
    """Total bytes of their renditions, and of those that stay."""
    archived: int = 0
    """Number of sources with a rendition that can be restored from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCost:
    """What one plan would cost for the whole collection."""

    plan: str
    sampled: int
    archived: int
    kept: int
    quarantined: int
    ratio: float
    """Stored bytes for each byte of the sources."""
    stored_bytes: int
    """Total bytes that would be stored, sources that stay included."""
    worker_hours: float
    psnr_y_lowest: float | None
    """PSNR-Y in dB of the worst restoration in the sample; None if there is none."""
    psnr_y_median: float | None
    chosen: dict[str, int]
    """How often which kind of candidate won in the sample."""
    strategies: dict[str, list[StrategyCost]]
    """By target: what each kind of candidate alone would have stored of the sample."""
    per_month: dict[str, float]
    """Money for a month, by storage class, for what packs hold beside files as well; where that
    bills small objects as larger ones, so."""
    objects: int
    """Number of objects that would lie in the store: sources that stay, LR objects and packs."""
    packs: int
    """Number of packs among them."""
    packed_files: int
    """Number of LR files in packs."""
    reads: int
    """Requests that read: one for each source."""
    writes: int
    """Requests that write: one for each LR object and each pack."""
    classes: dict[str, ClassCost]
    """What became of the sample by class of source; see `class_of`."""
    once: float
    """Money for converting the collection: cores, and requests."""
    pays_back: dict[str, float | None]
    """Months until storing less has paid for converting, by storage class; None for never."""
    extra_pays_back: dict[str, float | None] | None = None
    """The same of what it takes more than AVIF alone at the same floor, and stores less; None where
    that was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCosts:
    """What a collection would cost under several plans."""

    source: str
    archive: bool
    """Whether the source is an archive."""
    listed: int
    """Number of sources in the collection."""
    listed_bytes: int
    sampled: int
    storage: str | None
    """Why LR files would lie in packs though a plan does not say so; None where they would not."""
    plans: tuple[PlanCost, ...]


def beside_alone(cost: PlanCost, alone: PlanCost) -> PlanCost:
    """A plan beside one codec alone: when what it takes more has paid for itself."""
    extra = cost.once - alone.once
    months = {
        name: months_to_pay(extra, alone.per_month[name] - money)
        for name, money in cost.per_month.items()
    }
    return replace(cost, extra_pays_back=months)
