"""One engine for several threads: tiles of one size that wait for it go through it together."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from rescaling_core.engine.base import Engine

MOST_PIXELS: Final = 2**18
"""LR pixels of a batch: as many as a tile of the usual size has, so that a batch takes no more
memory than such a tile does alone. Larger tiles fill a processor by themselves."""


@dataclass(eq=False, slots=True)
class _Pass:
    """What one thread waits for."""

    lr: Tensor
    latent: Tensor | None
    result: Tensor | None = None
    error: BaseException | None = None

    @property
    def has_ended(self) -> bool:
        return self.result is not None or self.error is not None

    def fits(self, other: _Pass) -> bool:
        """Whether both can go through a network together."""
        return self.lr.shape[1:] == other.lr.shape[1:] and (self.latent is None) == (
            other.latent is None
        )


class Together:
    """An engine whose passes are shared by the threads that ask for them.

    Nobody waits for others to come: who finds the engine free begins at once. What is asked for
    meanwhile goes next, the oldest first, with all that has its size and is not too much. So a
    thread waits for those before it and for nobody behind it.
    """

    def __init__(self, engine: Engine, most_pixels: int = MOST_PIXELS) -> None:
        """Nothing waits yet.

        Args:
            engine: Does the work.
            most_pixels: LR pixels of a batch of several passes.
        """
        self.engine = engine
        self.batch = engine.batch
        self._most_pixels = most_pixels
        self._waiting: list[_Pass] = []
        self._guard = Lock()
        """Held for a moment, by who looks at what waits."""
        self._turn = Lock()
        """Held by the thread that runs the engine."""

    def downscale(self, hr: Tensor) -> Tensor:
        """See `Engine.downscale`. Archiving does it, in one thread: nothing is joined."""
        return self.engine.downscale(hr)

    def upscale(self, lr: Tensor, latent: Tensor | None) -> Tensor:
        """See `Engine.upscale`; safe to use from several threads."""
        mine = _Pass(lr, latent)
        with self._guard:
            self._waiting.append(mine)
        with self._turn:
            while not mine.has_ended:
                self._run(self._next())
        if mine.error is not None:
            raise mine.error
        assert mine.result is not None
        return mine.result

    def _next(self) -> list[_Pass]:
        """The oldest that waits, and those that go with it."""
        with self._guard:
            first = self._waiting[0]
            chosen, pixels = [first], _pixels(first)
            for other in self._waiting[1:]:
                if first.fits(other) and pixels + _pixels(other) <= self._most_pixels:
                    chosen.append(other)
                    pixels += _pixels(other)
            self._waiting = [one for one in self._waiting if one not in chosen]
        return chosen

    def _run(self, passes: list[_Pass]) -> None:
        try:
            results = self._results(passes)
        except (RuntimeError, MemoryError, TypeError, ValueError) as error:
            if len(passes) == 1:
                passes[0].error = error
                return
            for one in passes:  # so that it is the error of those that it belongs to
                self._run([one])
        else:
            for one, result in zip(passes, results, strict=True):
                one.result = result
        finally:
            for one in passes:
                if not one.has_ended:  # this thread is told to end, and nobody else runs them
                    one.error = RuntimeError("the thread that ran this pass was interrupted")

    def _results(self, passes: list[_Pass]) -> list[Tensor]:
        latents = [one.latent for one in passes if one.latent is not None]
        lr, latent = _joined([one.lr for one in passes]), _joined(latents) if latents else None
        together = self.engine.upscale(lr, latent)
        return list(torch.split(together, [len(one.lr) for one in passes]))


def _pixels(one: _Pass) -> int:
    return len(one.lr) * one.lr.shape[-2] * one.lr.shape[-1]


def _joined(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)
