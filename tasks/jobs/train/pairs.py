"""Pictures coded for the training of restorers: coded once, then kept in a folder."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from threading import get_ident
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from rescaling_core.codecs.fingerprint import fingerprint, settings_of
from rescaling_core.training.pairs import Pair, code, code_layers, fitting, qualities_of
from tasks.control import progress
from tasks.control.progress import Progress
from tasks.jobs.train.pause import NEVER, Pause

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.training.pairs import Beneath
    from rescaling_core.training.restorer_recipe import CodedPictures


_LAYERED: Final = 2
"""Scale of the small image of a layered file."""


class PairFolder:
    """Decoded pictures as `.npy` files, named after all that they depend on.

    Runs of any recipe can share a folder. A file is replaced whole, so that a kill leaves no half
    of one, and read through a memory map.
    """

    def __init__(
        self, path: Path, pictures: CodedPictures, scale: int, beneath: Beneath | None = None
    ) -> None:
        self._path, self._pictures, self._scale, self._beneath = path, pictures, scale, beneath
        path.mkdir(parents=True, exist_ok=True)
        spec = pictures.spec(pictures.quality[0])
        facts = [str(spec), settings_of(spec), fingerprint(spec, pictures.quality), scale]
        if beneath is not None:
            facts += [beneath.enlargement.weights_sha256, *beneath.lr_quality]
        self._coding = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def pair(self, image: U8Array, quality: int) -> Pair:
        """The pair of an image at one quality, from its file where there is one."""
        original = fitting(image, self._scale if self._beneath is None else _LAYERED)
        content = hashlib.sha256(np.ascontiguousarray(original).data)
        content.update(repr(original.shape).encode())
        path = self._path / f"{content.hexdigest()[:24]}-{self._coding}-q{quality}.npy"
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}-{get_ident()}.part")
            with part.open("wb") as file:
                np.save(file, self._made(original, quality))
            os.replace(part, path)
        seen: U8Array = np.load(path, mmap_mode="r")
        if self._beneath is None:
            return Pair(decoded=seen, original=original, quality=quality)
        return Pair(
            decoded=seen[..., 3:],
            original=original,
            quality=quality,
            beside=seen[..., :3],
            beside_quality=self._beneath.quality_for(quality),
        )

    def _made(self, original: U8Array, quality: int) -> U8Array:
        """(H, W, 3), or (H, W, 6) of a layered file: the enlarged picture, then the sum."""
        if self._beneath is None:
            return code(original, self._pictures, quality, self._scale)
        layers = code_layers(original, self._pictures, quality, self._beneath)
        return np.concatenate(layers, axis=2)


def training_pairs(
    folder: PairFolder,
    images: Sequence[U8Array],
    pictures: CodedPictures,
    *,
    pause: Pause = NEVER,
) -> list[Pair]:
    """All images, each at the qualities that are its turn.

    As many are coded at once as torch has threads; encoders and decoders leave Python's lock alone.
    """

    def of_image(index: int) -> list[Pair]:
        pause.wait()
        return [folder.pair(images[index], quality) for quality in qualities_of(index, pictures)]

    pairs: list[Pair] = []
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for index, coded in enumerate(pool.map(of_image, range(len(images)))):
            pairs += coded
            progress.report(Progress(step="code", done=index + 1, total=len(images)))
    return pairs


def measured_pairs(
    folder: PairFolder, images: Sequence[U8Array], pictures: CodedPictures
) -> list[Pair]:
    """All images, each at every quality that is measured."""
    wanted = [(image, quality) for image in images for quality in pictures.measured]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(lambda one: folder.pair(*one), wanted))
