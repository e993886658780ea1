"""What a run did, added up from the rows of the catalog that it wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rescaling_core.metadata import RestorationMetadata
from rescaling_core.plan import AS_STORED
from rescaling_core.quality.scores import MEASURES
from tasks.catalog import strategies
from tasks.jobs.report.distribution import Distribution, PointSample
from tasks.jobs.report.reasons import Reasons

COLUMNS: Final = (
    "source_key",
    "source_size",
    "target",
    "state",
    "reason",
    "error_class",
    "lr_bytes",
    "rescaler",
    *MEASURES,
    "width",
    "height",
    "metadata_json",
    "strategies_json",
    "origin",
)
"""Columns of `RENDITIONS` that a report is made from."""

POINTS: Final = 1000
"""Number of renditions drawn as points of one figure."""

_BINS: Final = 100_000
"""Steps in which the range of a measure is counted."""

_ORDER: Final = [("psnr_y", "ascending"), ("source_key", "ascending"), ("target", "ascending")]


@dataclass(slots=True)
class TargetAccount:
    """What became of the sources for one target."""

    archived: int = 0
    kept: int = 0
    quarantined: int = 0
    source_bytes: int = 0
    """Total bytes of the archived sources."""
    stored_bytes: int = 0
    """Total bytes of their LR objects."""
    full_size: int = 0
    """Renditions that are stored at full size rather than as an LR image, transcoded JPEGs
    included."""
    from_restored: int = 0
    """Renditions that were measured against a restored image, since the source was gone."""
    scores: dict[str, Distribution] = field(default_factory=lambda: _distributions())
    """What the renditions that can be restored from measured, by measure."""
    rates: PointSample = field(default_factory=lambda: PointSample(POINTS))
    """Bytes of the LR object per pixel of the HR image, with the PSNR-Y where that is finite."""

    @property
    def ratio(self) -> float | None:
        """Stored bytes for each byte of the archived sources."""
        return self.stored_bytes / self.source_bytes if self.source_bytes else None

    def to_json(self) -> dict[str, Any]:
        """Counts, bytes and quality, without the distributions behind them."""
        return {
            "archived": self.archived,
            "kept": self.kept,
            "quarantined": self.quarantined,
            "source_bytes": self.source_bytes,
            "stored_bytes": self.stored_bytes,
            "full_size": self.full_size,
        } | {name: quality_of(one, MEASURES[name].digits) for name, one in self.scores.items()}

    @property
    def psnr_y(self) -> Distribution:
        """PSNR-Y in dB, which every rendition that can be restored from has."""
        return self.scores["psnr_y"]


@dataclass(frozen=True, slots=True, order=True)
class Measured:
    """A rendition that can be restored from; the worst sort first."""

    psnr_y: float
    """PSNR-Y in dB."""
    source_key: str
    target: str


@dataclass(slots=True)
class RunAccount:
    """What a run did, as far as the rows it wrote still stand."""

    worst_kept: int
    """Number of the worst renditions to remember."""
    by_target: dict[str, TargetAccount] = field(default_factory=dict)
    reasons: Reasons = field(default_factory=Reasons)
    strategies: strategies.StrategyTallies = field(default_factory=strategies.StrategyTallies)
    worst: list[Measured] = field(default_factory=list)
    """The restorations with the lowest PSNR-Y, the lowest first."""

    @property
    def rows(self) -> int:
        """Rows of the catalog that were counted."""
        accounts = self.by_target.values()
        return sum(one.archived + one.kept + one.quarantined for one in accounts)

    @property
    def stored_bytes(self) -> int:
        """Of all LR objects."""
        return sum(one.stored_bytes for one in self.by_target.values())

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch.

        Args:
            batch: With `COLUMNS`, rows in any order.
        """
        rows = pa.table(batch)
        for name in pc.unique(rows["target"]).to_pylist():
            of_target = rows.filter(pc.equal(rows["target"], name))
            _add(self.by_target.setdefault(name, TargetAccount()), of_target)
        is_archived = pc.equal(rows["state"], "archived")
        archived = rows.filter(is_archived)
        self.reasons.add(rows.filter(pc.invert(is_archived)))
        self._add_strategies(archived)
        self._add_worst(archived)

    def _add_strategies(self, archived: pa.Table) -> None:
        both = pc.and_(
            pc.is_valid(archived["strategies_json"]), pc.is_valid(archived["metadata_json"])
        )
        told = archived.filter(both)
        names = ("target", "lr_bytes", "strategies_json", "metadata_json")
        # JSON is the one thing that is looked at row by row.
        for target, nbytes, rivals, recorded in zip(
            *(told[name].to_pylist() for name in names), strict=True
        ):
            winner = RestorationMetadata.from_json(recorded).strategy
            self.strategies.count(target, winner, nbytes, strategies.from_json(rivals))

    def _add_worst(self, archived: pa.Table) -> None:
        measured = archived.filter(pc.is_valid(archived["psnr_y"]))
        if not self.worst_kept or not measured.num_rows:
            return
        places = pc.select_k_unstable(
            measured.select([name for name, _ in _ORDER]), self.worst_kept, _ORDER
        )
        found = measured.take(places).select(["psnr_y", "source_key", "target"]).to_pylist()
        self.worst = sorted([*self.worst, *(Measured(**one) for one in found)])[: self.worst_kept]


def account_of(batches: Iterable[pa.RecordBatch], *, worst: int) -> RunAccount:
    """Add up the rows of a run.

    Args:
        batches: With `COLUMNS`, rows in any order.
        worst: How many of the worst restorations to name.
    """
    account = RunAccount(worst)
    for batch in batches:
        account.add(batch)
    return account


def quality_of(measured: Distribution, digits: int) -> dict[str, float | None]:
    """Minimum, 5 %, median and mean; None where nothing was measured."""
    values = {
        "min": measured.smallest if measured.count else None,
        "p5": measured.quantile(0.05),
        "median": measured.quantile(0.5),
        "mean": measured.mean,
    }
    return {
        name: value if value is None or not isfinite(value) else round(value, digits)
        for name, value in values.items()
    }


def _add(account: TargetAccount, rows: pa.Table) -> None:
    """Count the rows of one target."""
    counts = {
        entry["values"]: entry["counts"] for entry in pc.value_counts(rows["state"]).to_pylist()
    }
    account.archived += counts.get("archived", 0)
    account.kept += counts.get("kept", 0)
    account.quarantined += counts.get("quarantined", 0)
    archived = rows.filter(pc.equal(rows["state"], "archived"))
    account.source_bytes += pc.sum(archived["source_size"]).as_py() or 0
    account.stored_bytes += pc.sum(archived["lr_bytes"]).as_py() or 0
    account.full_size += _count(archived["rescaler"], *AS_STORED)
    account.from_restored += _count(archived["origin"], "restored image")
    measured = archived.filter(pc.is_valid(archived["psnr_y"]))
    psnr_y = _floats(measured["psnr_y"])
    for name, distribution in account.scores.items():
        distribution.add(_floats(measured[name].drop_null()))
    pixels = _floats(measured["width"]) * _floats(measured["height"])
    drawn = np.isfinite(psnr_y)
    account.rates.add((_floats(measured["lr_bytes"]) / pixels)[drawn], psnr_y[drawn])


def _distributions() -> dict[str, Distribution]:
    return {
        name: Distribution(one.lowest, one.highest, (one.highest - one.lowest) / _BINS)
        for name, one in MEASURES.items()
    }


def _count(column: pa.ChunkedArray, *values: str) -> int:
    return int(pc.sum(pc.is_in(column, pa.array(values))).as_py() or 0)


def _floats(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(column.to_numpy(), dtype=np.float64)
