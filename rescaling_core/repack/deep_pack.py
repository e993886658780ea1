"""Packs of a deep picture's file, whose colours are coded at a quality."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rescaling_core.repack import planes
from rescaling_core.repack.coding import compressed
from rescaling_core.repack.flat import Flat
from rescaling_core.repack.pack import MOST_UNPACKED, assembled
from rescaling_core.repack.picture import described, folded_alpha

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U16Array
    from rescaling_core.repack.deep import DeepFile


@dataclass(frozen=True, slots=True)
class DeepPack:
    """A pack, and the colours that come back from it."""

    data: bytes
    colours: U16Array
    """(H, W, C), C = 1 or 3."""


class DeepPacker:
    """Packs one file at several qualities."""

    def __init__(self, file: DeepFile) -> None:
        """Take the file apart.

        Raises:
            ValueError: It is too large.
        """
        if len(file.flat) > MOST_UNPACKED:
            raise ValueError(f"{len(file.flat)} bytes: at most {MOST_UNPACKED} are packed")
        self._file = file

    def pack(self, quality: int, effort: int | None = None) -> DeepPack:
        """Pack the file at a quality.

        Raises:
            CodecError: The picture cannot be coded.
            CodecUnavailableError: What codes it is not installed.
        """
        file = self._file
        coded = planes.coded(file.colours, quality, effort)
        colours = planes.decoded(coded, file.colours.shape)
        samples, blobs, alpha = colours, [coded], None
        if file.alpha is not None:
            coder, blob = self._alpha
            samples = np.concatenate((colours, file.alpha), axis=2)
            blobs.append(blob)
            alpha = coder, len(blob)
        image = described(file.blocks, file.runs, len(coded), alpha)
        flat = Flat(file.with_samples(samples), file.streams)
        return DeepPack(assembled(flat, [image], blobs, self._rest), colours)

    @cached_property
    def _alpha(self) -> tuple[str, bytes]:
        assert self._file.alpha is not None
        return folded_alpha(self._file.alpha)

    @cached_property
    def _rest(self) -> tuple[str, int, bytes]:
        frame = self._file.frame
        coder, coded = compressed(frame)
        return coder, len(frame), coded
