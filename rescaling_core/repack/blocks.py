"""How the samples of a picture lie in the runs of a file: as rows, planes, tiles or PNG rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rescaling_core.pixels.arrays import U8Array, U16Array

_UP = 2
"""PNG's filter of a row: what is above is subtracted, byte by byte."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """The order in which a file has the samples of a picture of 16 bits."""

    shape: tuple[int, int, int]
    """(H, W, bands), alpha among the bands."""
    big_endian: bool
    order: Literal["rows", "planes", "png"] = "rows"
    """Bands side by side, one after the other, or side by side in filtered rows of a PNG."""
    tile: tuple[int, int] | None = None
    """Rows and columns of tiles, which reach beyond the picture; None for none."""

    @classmethod
    def of_json(cls, described: Mapping[str, Any]) -> Blocks:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It makes no sense.
        """
        height, width, bands = (int(one) for one in described["shape"])
        tile, order = described["tile"], described["order"]
        if not (min(height, width) > 0 and 1 <= bands <= 4 and order in ("rows", "planes", "png")):
            raise ValueError("a damaged pack: samples of an unknown kind")
        sides = None if tile is None else (int(tile[0]), int(tile[1]))
        if sides is not None and (min(sides) < 1 or max(sides) > 2**16 or order == "png"):
            raise ValueError("a damaged pack: tiles of an unknown kind")
        return cls((height, width, bands), bool(described["big"]), order, sides)

    def to_json(self) -> dict[str, Any]:
        """As a pack describes it."""
        return {
            "shape": self.shape,
            "big": self.big_endian,
            "order": self.order,
            "tile": self.tile,
        }

    @property
    def nbytes(self) -> int:
        """Of all blocks."""
        height, width, bands = self.shape
        if self.tile is not None:
            down, across = self.tile
            height, width = -(-height // down) * down, -(-width // across) * across
        return height * (width * bands * 2 + (self.order == "png"))

    def filled(self, samples: U16Array) -> bytes:
        """The bytes of all blocks, one after the other.

        Args:
            samples: (H, W, bands).
        """
        if self.order == "png":
            rows = samples.astype(">u2").view(np.uint8).reshape(len(samples), -1)
            coded: U8Array = np.full((len(rows), 1 + rows.shape[1]), _UP, np.uint8)
            coded[0, 1:] = rows[0]
            np.subtract(rows[1:], rows[:-1], out=coded[1:, 1:])
            return coded.tobytes()
        typed = samples.astype(">u2" if self.big_endian else "<u2")
        return b"".join(
            np.ascontiguousarray(self._padded(plane)[rows, columns]).tobytes()
            for plane in self._planes(typed)
            for rows, columns in self._places()
        )

    def picked(self, data: bytes) -> U16Array:
        """The picture in the bytes of all blocks; not of PNG rows, whose filters differ.

        Raises:
            ValueError: They are too few or too many.
        """
        if len(data) != self.nbytes:
            raise ValueError(f"{len(data)} bytes of samples, not {self.nbytes}")
        found = np.empty(self.shape, np.uint16)
        values = np.frombuffer(data, ">u2" if self.big_endian else "<u2")
        for plane in self._planes(found):
            height, width, bands = plane.shape
            for rows, columns in self._places():
                down, across = rows.stop - rows.start, columns.stop - columns.start
                count = down * across * bands
                block, values = values[:count].reshape(down, across, bands), values[count:]
                inside = block[: height - rows.start, : width - columns.start]
                plane[rows, columns] = inside
        return found

    def _planes(self, samples: Any) -> Iterator[Any]:
        if self.order == "planes":
            yield from (samples[..., band : band + 1] for band in range(samples.shape[2]))
        else:
            yield samples

    def _places(self) -> Iterator[tuple[slice, slice]]:
        height, width, _ = self.shape
        down, across = self.tile or (height, width)
        for top in range(0, height, down):
            for left in range(0, width, across):
                yield slice(top, top + down), slice(left, left + across)

    def _padded(self, plane: Any) -> Any:
        if self.tile is None:
            return plane
        sides = zip(plane.shape, self.tile, strict=False)
        more = [(0, -side % step) for side, step in sides]
        return np.pad(plane, (*more, (0, 0)), mode="edge")
