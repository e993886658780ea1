"""What a collection would cost under a plan: a random sample is converted and extrapolated."""

from __future__ import annotations

import hashlib
import re
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Final

from rescaling_core import SOFTWARE
from rescaling_core.convert import Kept, Rendition, SourceRef, convert
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo import Photo
from rescaling_core.plan import ArchivePlan
from tasks.catalog.history import History
from tasks.catalog.strategies import StrategyTallies
from tasks.collection.shards import SourceObject
from tasks.control import progress
from tasks.control.outcomes import Failure, outcome_of
from tasks.control.progress import Progress
from tasks.jobs.plan.costs import ClassCost, PlanCost
from tasks.jobs.plan.holding import Holding
from tasks.jobs.plan.sample import Collection, Original, Sample
from tasks.models.archived import settle
from tasks.models.lookup import Models
from tasks.pages.prices import GB, Prices, months_to_pay
from tasks.renditions.layout import rendition_key

_DIGEST: Final = "0" * 32
"""Stands for any digest in keys of which only the length matters."""


@dataclass(slots=True, kw_only=True)
class Estimate:
    """What one plan makes of the sample, and would make of the collection."""

    plan: str
    sampled: int = 0
    archived: int = 0
    """Number of sources with a rendition that can be restored from."""
    kept: int = 0
    """Number of sources that stay what they are, with previews or without."""
    quarantined: int = 0
    source_bytes: int = 0
    """Total bytes of the sampled sources."""
    stored_bytes: int = 0
    """Total bytes of all renditions of the sample, and of the sources that stay."""
    psnr_y: list[float] = field(default_factory=list)
    """PSNR-Y in dB of each archived source, ascending."""
    chosen: Counter[str] = field(default_factory=Counter)
    """How often which kind of candidate won."""
    strategies: StrategyTallies = field(default_factory=StrategyTallies)
    """What each kind of candidate alone would have stored of the sample."""
    classes: dict[str, ClassCost] = field(default_factory=dict)
    """The same by class of source."""
    seconds: float = 0.0
    """Seconds that one worker took for the sample."""
    holding: Holding = field(default_factory=Holding)
    """What would lie in the store, object by object."""

    @property
    def ratio(self) -> float:
        """Stored bytes for each byte of the sources."""
        return self.stored_bytes / self.source_bytes if self.source_bytes else 1.0

    def of_collection(self, sample: Sample, prices: Prices) -> PlanCost:
        """The whole collection, supposing it is like the sample byte for byte."""
        stored = self.ratio * sample.listed_bytes
        hours = self.seconds / max(1, self.sampled) * sample.listed / 3600
        reads = sample.listed if self.seconds else 0
        extent = self.holding.extent(sample, self.sampled, self.source_bytes)
        once = hours * prices.core_hour
        once += (reads * prices.read_1000 + extent.writes * prices.write_1000) / 1000
        per_month = self._per_month(stored, sample, prices)
        before = as_is(sample)._per_month(sample.listed_bytes, sample, prices)
        return PlanCost(
            plan=self.plan,
            sampled=self.sampled,
            archived=self.archived,
            kept=self.kept,
            quarantined=self.quarantined,
            ratio=round(self.ratio, 4),
            stored_bytes=round(stored),
            worker_hours=round(hours, 3),
            psnr_y_lowest=self.psnr_y[0] if self.psnr_y else None,
            psnr_y_median=median(self.psnr_y) if self.psnr_y else None,
            chosen=dict(self.chosen.most_common()),
            strategies=self.strategies.report(),
            classes=dict(sorted(self.classes.items())),
            per_month={name: round(money, 6) for name, money in per_month.items()},
            objects=extent.objects,
            packs=extent.packs,
            packed_files=extent.packed_files,
            reads=reads,
            writes=extent.writes,
            once=round(once, 6),
            pays_back={
                name: months_to_pay(once, before[name] - money) for name, money in per_month.items()
            },
        )

    def _per_month(self, stored: float, sample: Sample, prices: Prices) -> dict[str, float]:
        """Money for bytes, and for what small objects and packs are billed beyond their files'."""
        extra = {
            least: self.holding.shortfall(least, sample, self.sampled, self.source_bytes)
            for least in {0, *prices.least.values()}
        }
        return {
            name: (stored + extra[prices.least.get(name, 0)]) / GB * price
            for name, price in prices.storage.items()
        }


def estimate(
    collection: Collection, sample: Sample, plans: Mapping[str, ArchivePlan]
) -> list[Estimate]:
    """Convert the sample under every plan; nothing is written.

    Args:
        collection: Where it was drawn from.
        sample: What was drawn from it.
        plans: By the names to show them under.
    """
    estimates = [Estimate(plan=name) for name in plans]
    settled = [settle(plan) for plan in plans.values()]
    for number, source in enumerate(sample.sources, 1):
        original = outcome_of(source.key, partial(collection.original, source))
        for one, (plan, models) in zip(estimates, settled, strict=True):
            if original is not None:  # else it vanished: neither converted nor counted
                _add(one, source, original, plan, models)
        progress.report(Progress(step="sample", done=number, total=len(sample.sources)))
    for one in estimates:
        one.psnr_y.sort()
    return estimates


def _add(
    one: Estimate,
    source: SourceObject,
    original: Original | Failure,
    plan: ArchivePlan,
    models: Models,
) -> None:
    before = one.stored_bytes, one.archived
    name = _convert(one, source, original, plan, models)
    found = one.classes.setdefault(name, ClassCost())
    found.sources += 1
    found.source_bytes += source.size
    found.stored_bytes += one.stored_bytes - before[0]
    found.archived += one.archived - before[1]


def _convert(
    one: Estimate,
    source: SourceObject,
    original: Original | Failure,
    plan: ArchivePlan,
    models: Models,
) -> str:
    """Convert a source and count it; give its class."""
    started = time.monotonic()
    one.sampled += 1
    one.source_bytes += source.size
    made = (
        original
        if isinstance(original, Failure)
        else outcome_of(source.key, partial(_renditions, source, original, plan, models))
    )
    if isinstance(made, Failure):
        one.quarantined += 1
        one.stored_bytes += source.size
        one.holding.stays.append(source.size)
        return "not readable"
    name, renditions = made
    one.stored_bytes += sum(len(rendition.lr_data) for rendition in renditions)
    packed = {target.target.name for target in plan.targets if target.store == "packs"}
    for rendition in renditions:
        target, nbytes = rendition.target.name, len(rendition.lr_data)
        lr_key = rendition_key(target, source.key, _DIGEST, rendition.extension)
        one.holding.add(target, lr_key, nbytes, packed=target in packed)
    restorable = [rendition for rendition in renditions if rendition.metadata.psnr_y is not None]
    if restorable:
        one.archived += 1
        one.psnr_y.append(max(rendition.metadata.psnr_y or 0 for rendition in restorable))
        for rendition in restorable:
            strategy, nbytes = rendition.metadata.strategy, len(rendition.lr_data)
            one.chosen[strategy] += 1
            one.strategies.count(rendition.target.name, strategy, nbytes, rendition.rivals)
    else:
        one.kept += 1
        one.stored_bytes += source.size
        one.holding.stays.append(source.size)
    one.seconds += time.monotonic() - started
    return name


def class_of(photo: Photo) -> str:
    """The class of a source: its format, and what is special about it."""
    if photo.made_from is None:
        return photo.format
    special = re.sub(r"of \d+ (frames|pages)", r"of several \1", photo.made_from)
    return f"{photo.format}, {special.partition(',')[0].partition(':')[0]}"


def _renditions(
    source: SourceObject, original: Original, plan: ArchivePlan, models: Models
) -> tuple[str, list[Rendition]]:
    """The class of a source, and what is made of it."""
    try:
        photo = original.photo(plan.max_pixels, plan.max_carried)
    except UnsupportedImageError:  # it is kept as it is
        return "not shown", []
    data = original.data
    digest = hashlib.sha256(data or b"").hexdigest()
    ref = SourceRef(key=source.key, etag=source.etag, size=source.size, sha256=digest)
    outcomes = (
        convert(photo, ref, target, models, software=SOFTWARE, data=data) for target in plan.targets
    )
    return class_of(photo), [one for one in outcomes if not isinstance(one, Kept)]


def as_is(sample: Sample) -> Estimate:
    """The collection as it lies."""
    size = sum(source.size for source in sample.sources)
    count = len(sample.sources)
    lies = Holding(stays=array("q", [source.size for source in sample.sources]))
    return Estimate(
        plan="as it is",
        sampled=count,
        kept=count,
        source_bytes=size,
        stored_bytes=size,
        holding=lies,
    )


def as_archived(histories: Iterable[History]) -> Estimate:
    """What an archive stores, all of it counted: its LR objects, and the sources it cannot restore.

    Args:
        histories: Of each source.
    """
    one = Estimate(plan="as archived")
    for history in histories:
        size = history.latest.source_size
        one.sampled += 1
        one.source_bytes += size
        one.stored_bytes += sum(row.lr_bytes for row in history.archived)
        for row in history.archived:
            one.strategies.add(row)
            one.holding.add_stored(row.pack_key, row.lr_key, row.lr_bytes)
        one.seconds += sum(row.seconds or 0 for row in history.current)
        if history.restorable:
            one.archived += 1
            one.psnr_y.append(max(row.psnr_y or 0 for row in history.restorable))
        else:
            one.stored_bytes += size
            one.holding.stays.append(size)
            one.quarantined += history.state == "quarantined"
            one.kept += history.state != "quarantined"
        one.chosen.update(row.recorded.strategy for row in history.restorable)
    one.psnr_y.sort()
    return one
