"""An archive as a dataset that is read in an order which can be taken up again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch.utils.data import IterableDataset, get_worker_info

from rescaling_core.errors import UsageError
from tasks.datasets.mapped import ArchiveDataset, Sample, SampleError

_LOG: Final = logging.getLogger(__name__)


class ArchiveStream(IterableDataset[Sample]):
    """The images of a dataset one after the other, shared out among processes and workers.

    Each image comes once an epoch. `state_dict` and `load_state_dict` are those that torch's
    StatefulDataLoader asks for: with them an epoch goes on behind the last image that was given,
    whatever the number of workers, as long as that stays the same.
    """

    def __init__(
        self,
        dataset: ArchiveDataset,
        *,
        seed: int | None = None,
        rank: int = 0,
        world: int = 1,
        ahead: int = 8,
        skip_unreadable: bool = False,
    ) -> None:
        """Read a dataset in order.

        Args:
            dataset: What is read.
            seed: Of the order, which is another one in each epoch; None for that of the keys.
            rank: Number of this process among those that train together.
            world: How many these are. All get the same number of images: what is left over, fewer
                than `world`, is left out in that epoch.
            ahead: Files that each worker reads before their turn.
            skip_unreadable: Whether an image that cannot be read is passed over, with a warning in
                the log, instead of being an error.

        Raises:
            UsageError: There is no process of this rank, or no image for each.
        """
        if not 0 <= rank < world:
            raise UsageError(f"rank {rank} of {world} processes: 0 to {world - 1} are allowed")
        if len(dataset) < world:
            raise UsageError(f"{world} processes share {len(dataset)} images: some would get none")
        self.dataset = dataset
        self._seed, self._rank, self._world = seed, rank, world
        self._ahead, self._skip = ahead, skip_unreadable
        self._epoch = 0
        self._position = 0
        """Images of this worker's share that were given, or passed over, in this epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Take the order of an epoch; call it before each, as torch's DistributedSampler wants it.

        An epoch that was begun goes on if it is the same one.
        """
        if epoch != self._epoch:
            self._epoch, self._position = epoch, 0

    def __len__(self) -> int:
        """How many images this process gets in an epoch, all of its workers together."""
        return len(self.dataset) // self._world

    def __iter__(self) -> Iterator[Sample]:
        """Give the images that are left in this epoch.

        Raises:
            SampleError: One cannot be read, and is not to be passed over.
        """
        numbers = self._share()[self._position :]
        entries = (self.dataset.index[int(number)] for number in numbers)
        for sample in self.dataset.read(entries, ahead=self._ahead):
            self._position += 1
            if not isinstance(sample, SampleError):
                yield sample
            elif self._skip:
                _LOG.warning("passed over: %s", sample)
            else:
                raise sample
        self._position = 0

    def _share(self) -> npt.NDArray[np.int64]:
        """The numbers of what this worker of this process reads, in order."""
        count = len(self.dataset)
        order = np.arange(count)
        if self._seed is not None:
            order = np.random.default_rng((self._seed, self._epoch)).permutation(count)
        mine = order[: count - count % self._world][self._rank :: self._world]
        worker = get_worker_info()
        return mine if worker is None else mine[worker.id :: worker.num_workers]

    def _identity(self) -> dict[str, Any]:
        """What has to be the same for an order to be taken up again."""
        worker = get_worker_info()
        return {
            "images": self.dataset.index.digest,
            "seed": self._seed,
            "rank": self._rank,
            "world": self._world,
            "workers": 0 if worker is None else worker.num_workers,
        }

    def state_dict(self) -> dict[str, Any]:
        """Where this worker is, as plain values."""
        return {**self._identity(), "epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was asked.

        Raises:
            UsageError: That was with other images, in another order, or with another number of
                processes or workers.
        """
        for name, here in self._identity().items():
            if state.get(name) != here:
                raise UsageError(
                    f"the order cannot be taken up again: {name} was {state.get(name)!r} and is "
                    f"{here!r}"
                )
        self._epoch, self._position = int(state["epoch"]), int(state["position"])
