"""From what a plan or a record names to a network: by digest wherever one is recorded.

Records come from storage, where anybody may have written them. So what a record calls a rescaler
is only ever shown; which weights are used is decided by the digest beside it, and that is looked
for in places the owner chose: the archive, the weights folder, the package.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Self

import torch

from rescaling_core import zoo
from rescaling_core.errors import WeightsNotFoundError
from rescaling_core.precision import Precision
from rescaling_core.zoo import NO_WEIGHTS_SHA256, LoadedRescaler, restorers
from rescaling_core.zoo.restorers import LoadedRestorer
from tasks.models.weights import find_by_digest, find_weights, weights_folder
from tasks.models.weights_file import FOLDER, SHA256, WeightsFile, read_stored
from tasks.settings import current
from tasks.storage import Store

MOST_HELD: Final = 16
"""Networks that a process keeps ready."""

_LOADING: Final = Lock()
_Key = tuple[str, Precision]

_HELD: Final[OrderedDict[_Key, LoadedRescaler]] = OrderedDict()
"""By digest, or by name where there are no weights; those asked for last at the end."""
_RESTORERS: Final[dict[_Key, LoadedRestorer]] = {}
"""By digest: they are small, and a plan names few."""
_KNOWN: Final[dict[str, str]] = {}
"""From what an owner called a rescaler to its key in `_HELD`, so that all of a run is one."""


def _free_in_child() -> None:
    """Another thread may have been loading when this process was forked off; it stayed behind."""
    if _LOADING.locked():
        _LOADING.release()


os.register_at_fork(after_in_child=_free_in_child)


@dataclass(frozen=True)
class Models:
    """Looks networks up for one archive. It travels to workers; what is loaded does not."""

    archive: Store | None = None
    """Looked into first, under `models/`."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """Digests of what a plan names, settled once for all workers of a run."""
    others: tuple[Store, ...] = ()
    """Further places that an owner named, each with `<sha256>.safetensors` or `models/` in it."""
    precision: Precision = "float32"
    """In which what a record names restores; see `for_reading`."""

    @classmethod
    def for_reading(cls, archive: Store | None = None, *, others: tuple[Store, ...] = ()) -> Self:
        """For restoring what was made and measured before, in the precision of the settings."""
        return cls(archive, others=others, precision=current().precision)

    def __call__(self, rescaler: str, weights_sha256: str | None = None, /) -> LoadedRescaler:
        """See `rescaling_core.convert.Models`. Loaded once a process, on its GPU if it has one.

        Raises:
            WeightsNotFoundError: Weights of that digest are in none of the places.
            UsageError: A plan names what nobody knows.
            CheckpointError: The weights are damaged.
            StorageError: A store failed.
        """
        digest = weights_sha256 or self.chosen.get(rescaler)
        with _LOADING:  # or two threads would each load it
            if digest is None:
                return _of_reference(rescaler)
            if digest == NO_WEIGHTS_SHA256:
                return _of_filter(rescaler)
            return _held(digest, self.precision) or _hold(
                digest, self.find(rescaler, digest).load(), self.precision
            )

    def restorer(self, name: str, weights_sha256: str | None = None, /) -> LoadedRestorer:
        """See `rescaling_core.convert.outcome.WithRestorers`. Loaded once a process.

        Raises:
            WeightsNotFoundError: Weights of that digest are in none of the places.
            UsageError: A plan names what nobody knows.
            CheckpointError: The weights are damaged.
            StorageError: A store failed.
        """
        digest = weights_sha256 or self.chosen.get(name)
        with _LOADING:
            if digest is None:
                return restorers.load(name)
            key = (digest, self.precision)
            if key not in _RESTORERS:
                loaded = self._found_restorer(name, digest)
                loaded.network.precision = self.precision
                _RESTORERS[key] = loaded
            return _RESTORERS[key]

    def _found_restorer(self, name: str, digest: str) -> LoadedRestorer:
        if restorers.shipped_path(digest) is not None:
            return restorers.load(name, digest)
        file = self.find(name, digest)
        return restorers.parse(file.data, None, name=file.name)

    def find(self, rescaler: str, sha256: str) -> WeightsFile:
        """The file of a digest, from the first place that has it.

        Raises:
            WeightsNotFoundError: None has.
            StorageError: A store failed.
        """
        if SHA256.fullmatch(sha256):
            if self.archive is not None and (found := read_stored(self.archive, sha256)):
                return found
            for store in self.others:
                if found := read_stored(store, sha256, ("", FOLDER)):
                    return found
            if found := find_by_digest(sha256):
                return found
        places = [f"{store.url}/{FOLDER}" for store in (self.archive, *self.others) if store]
        raise WeightsNotFoundError(
            f"rescaler {rescaler!r:.99}: no weights of SHA-256 {sha256:.64} in "
            f"{', '.join((*places, str(weights_folder())))} or in this release; its archive keeps "
            f"them as {FOLDER}{sha256:.64}.safetensors: --models names an archive, or a folder "
            "that holds this file"
        )


def load_model(reference: str) -> LoadedRescaler:
    """Load what an owner names, once a process, on its GPU if it has one.

    Raises:
        UsageError: There is no such rescaler.
        CheckpointError: The weights are damaged.
        StorageError: A store failed.
    """
    with _LOADING:
        return _of_reference(reference)


def _of_reference(reference: str) -> LoadedRescaler:
    key = _KNOWN.get(reference)
    held = None if key is None else _held(key)
    if held is not None:
        return held
    found = find_weights(reference)
    if found is None:
        return _hold(reference, zoo.load(reference))
    _KNOWN[reference] = found.sha256
    return _held(found.sha256) or _hold(found.sha256, found.load())


def _of_filter(name: str) -> LoadedRescaler:
    loaded = _held(name) or zoo.load_filter(name)
    if loaded is None:
        raise WeightsNotFoundError(
            f"rescaler {name!r:.99}: recorded without weights, and no filter of that name is known"
        )
    return _hold(name, loaded)


def _held(key: str, precision: Precision = "float32") -> LoadedRescaler | None:
    loaded = _HELD.get((key, precision))
    if loaded is not None:
        _HELD.move_to_end((key, precision))
    return loaded


def _hold(key: str, loaded: LoadedRescaler, precision: Precision = "float32") -> LoadedRescaler:
    loaded.rescaler.precision = precision
    if torch.cuda.is_available():
        loaded.rescaler.cuda()
    _HELD[key, precision] = loaded
    while len(_HELD) > MOST_HELD:
        _HELD.popitem(last=False)
    return loaded
