"""Any number of measured values in a fixed amount of memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Distribution:
    """A histogram so fine that it answers for quantiles.

    Infinite values (restorations that are exact) count in quantiles, above all others.
    """

    low: float
    """Lower edge of the first bin. Values below it count in the first bin, values above the last
    bin in the last."""
    high: float
    step: float
    """Width of a bin; quantiles are off by half of it at most."""
    count: int = 0
    exact: int = 0
    """Number of values that are infinite."""
    smallest: float = inf
    largest: float = -inf
    """Largest of the finite values."""
    total: float = 0.0
    """Sum of the finite values."""
    bins: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.bins = np.zeros(round((self.high - self.low) / self.step), np.int64)

    def add(self, values: Floats) -> None:
        """Count values, none of them NaN."""
        finite = values[np.isfinite(values)]
        self.count += values.size
        self.exact += values.size - finite.size
        if not finite.size:
            return
        self.smallest = min(self.smallest, float(finite.min()))
        self.largest = max(self.largest, float(finite.max()))
        self.total += float(finite.sum())
        places = np.floor((finite - self.low) / self.step).astype(np.int64)
        places = places.clip(0, self.bins.size - 1)
        self.bins += np.bincount(places, minlength=self.bins.size)

    @property
    def mean(self) -> float | None:
        """Of the finite values; None if there is none."""
        finite = self.count - self.exact
        return self.total / finite if finite else None

    def quantile(self, share: float) -> float | None:
        """The smallest value that at least this share of all values does not exceed.

        Args:
            share: Above 0, at most 1.

        Returns:
            To half a step, within the smallest and largest value; None if there is none.
        """
        if not self.count:
            return None
        rank = max(1, ceil(share * self.count))
        if rank > self.count - self.exact:
            return inf
        place = int(np.searchsorted(np.cumsum(self.bins), rank))
        middle = self.low + (place + 0.5) * self.step
        return min(max(middle, self.smallest), self.largest)

    def bars(self, *, most: int, width: float) -> tuple[Floats, NDArray[np.int64]]:
        """The finite values as a histogram to draw.

        Args:
            most: Bars at most, about.
            width: Of a bar at least.

        Returns:
            Edges, (n + 1,), and counts, (n,).
        """
        filled = np.flatnonzero(self.bins)
        if not filled.size:
            return np.array([self.low]), np.array([], np.int64)
        span = int(filled[-1] - filled[0]) + 1
        joined = max(round(width / self.step), ceil(span / most))
        first = int(filled[0]) // joined * joined
        starts = np.arange(first, filled[-1] + 1, joined)
        counts = np.add.reduceat(self.bins, starts)
        if starts[-1] + joined < self.bins.size:  # reduceat takes the last one to the very end
            counts[-1] = self.bins[starts[-1] : starts[-1] + joined].sum()
        edges = self.low + self.step * np.append(starts, starts[-1] + joined)
        return edges, counts


@dataclass(slots=True)
class PointSample:
    """Points to draw: all of them, or as many as fit, each with the same chance."""

    most: int
    seen: int = 0
    _points: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    """(n, 3) array of a random rank, x and y. The points of the lowest ranks are kept."""
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def add(self, x: Floats, y: Floats) -> None:
        """Offer points of shape (n,)."""
        self.seen += x.size
        offered = np.column_stack((self._random.random(x.size), x, y))
        points = np.concatenate((self._points, offered))
        if len(points) > self.most:
            points = points[np.argpartition(points[:, 0], self.most)[: self.most]]
        self._points = points

    @property
    def points(self) -> Floats:
        """(n, 2): x and y."""
        return self._points[:, 1:]
