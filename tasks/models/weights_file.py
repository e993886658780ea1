"""Weights as bytes: what is read from a place, before a network is built of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from rescaling_core import zoo
from rescaling_core.errors import CheckpointError
from rescaling_core.zoo import LoadedRescaler
from tasks.storage import ObjectNotFoundError, Store

SHA256: Final = re.compile(r"[0-9a-f]{64}")

FOLDER: Final = "models/"
"""Where an archive keeps its networks."""


@dataclass(frozen=True)
class WeightsFile:
    """A weights file and its model card, not yet believed."""

    data: bytes
    card_json: str | None
    name: str
    """What to call it in an error."""

    @cached_property
    def sha256(self) -> str:
        """Of `data`, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    def load(self) -> LoadedRescaler:
        """Build the network.

        Raises:
            CheckpointError: The bytes are damaged or of something else.
        """
        return zoo.parse(self.data, self.card_json, name=self.name)


def read_stored(
    store: Store, sha256: str, folders: Iterable[str] = (FOLDER,)
) -> WeightsFile | None:
    """Read the weights of a digest from a store that names them by it.

    Args:
        store: An archive, or any folder.
        sha256: In hexadecimal, small letters.
        folders: Prefixes to look under, in this order.

    Returns:
        None where there are none, or where what lies there has another digest.

    Raises:
        StorageError: The store failed.
    """
    for folder in folders:
        key = f"{folder}{sha256}.safetensors"
        try:
            data = store.get(key)
        except ObjectNotFoundError:
            continue
        card = _card(store, f"{folder}{sha256}.json", sha256)
        found = WeightsFile(data, card, name=f"{store.url}/{key}")
        if found.sha256 == sha256:
            return found
    return None


def _card(store: Store, key: str, sha256: str) -> str | None:
    """A model card, if it is one of these weights: nothing depends on it."""
    try:
        text = store.get(key).decode()
        card = zoo.ModelCard.from_json(text, name=key)
    except (ObjectNotFoundError, CheckpointError, UnicodeDecodeError):
        return None
    return text if card.weights_sha256 == sha256 else None
