"""Rescaler ids → network, weights and model card."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from rescaling_core.errors import CheckpointError, UsageError
from rescaling_core.networks import LatentPolicy, Rescaler
from rescaling_core.networks.filters import FilterRescaler
from rescaling_core.zoo.card import ModelCard, describe
from rescaling_core.zoo.files import read, save
from rescaling_core.zoo.official import import_checkpoint

if TYPE_CHECKING:
    from rescaling_core.networks.resampling import Kernel

__all__ = [
    "NO_WEIGHTS_SHA256",
    "LoadedRescaler",
    "ModelCard",
    "describe",
    "import_checkpoint",
    "list_models",
    "load",
    "load_as",
    "save",
]

Kind = TypeVar("Kind", bound=Rescaler)

WEIGHTS_DIR: Final = Path(__file__).parent / "weights"
"""What ships with Refold: `<id>.safetensors` beside `<id>.json`."""

NO_WEIGHTS_SHA256: Final = hashlib.sha256(b"").hexdigest()
"""The digest that stands for a rescaler without weights."""

_FILTERS: Final[dict[str, tuple[str, Kernel]]] = {
    "bicubic": ("Bicubic (as MATLAB's imresize)", "bicubic"),
    "lanczos": ("Lanczos, 3 lobes", "lanczos"),
}


@dataclass(frozen=True, slots=True)
class LoadedRescaler:
    """A rescaler ready to use, and what it is."""

    id: str
    rescaler: Rescaler
    """In evaluation mode, float32, on the CPU."""
    weights_sha256: str
    """Of the weights file, in hexadecimal; `NO_WEIGHTS_SHA256` where there is none."""
    card: ModelCard


def list_models() -> tuple[ModelCard, ...]:
    """The cards of all rescalers that ship with Refold: filters first, then by id."""
    stored = sorted(path.with_suffix(".json") for path in WEIGHTS_DIR.glob("*.safetensors"))
    cards = [ModelCard.from_json(path.read_text("utf-8"), name=path.name) for path in stored]
    return (*(_filter(name).card for name in _FILTERS), *cards)


def load(id_or_path: str | Path, *, sha256: str | None = None) -> LoadedRescaler:
    """Load a rescaler of the zoo by its id, or one saved to a file.

    Args:
        id_or_path: `irn-x2-lite`, `bicubic`, …, or the path of a `.safetensors` file.
        sha256: The digest the weights must have, in hexadecimal.

    Raises:
        UsageError: There is no such id or file.
        CheckpointError: The file is damaged, or its digest is not the one asked for or carded.
    """
    text = str(id_or_path)
    if text in _FILTERS:
        return _checked(_filter(text), sha256)
    path = _weights_path(text)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{text}: cannot be read: {error.strerror}") from error
    model_id, rescaler = read(data, name=text)
    digest = hashlib.sha256(data).hexdigest()
    card_path = path.with_suffix(".json")
    if card_path.exists():
        card = ModelCard.from_json(card_path.read_text("utf-8"), name=card_path.name)
        if card.weights_sha256 != digest:
            raise CheckpointError(f"{text}: not the weights its model card describes")
    else:
        card = replace(
            describe(rescaler, model_id=model_id, title=model_id, licence="unknown"),
            weights_sha256=digest,
            weights_bytes=len(data),
        )
    return _checked(LoadedRescaler(model_id, rescaler, digest, card), sha256)


def load_as(kind: type[Kind], id_or_path: str | Path) -> Kind:
    """As `load`, for callers that need a network of one class.

    Raises:
        UsageError: There is no such id or file, or it is of another family than `kind`.
        CheckpointError: The file is damaged.
    """
    rescaler = load(id_or_path).rescaler
    if not isinstance(rescaler, kind):
        raise UsageError(f"{id_or_path} is of family {rescaler.family}, not {kind.family}")
    return rescaler


def _weights_path(text: str) -> Path:
    if "://" in text:
        raise UsageError(f"{text}: a URL is fetched first, by `refold models download`")
    if text.endswith(".safetensors"):
        return Path(text)
    stored = {path.stem: path for path in sorted(WEIGHTS_DIR.glob("*.safetensors"))}
    if text not in stored:
        known = ", ".join((*_FILTERS, *stored))
        raise UsageError(
            f"no rescaler {text!r}; known ids: {known}; or the path of a .safetensors file"
        )
    return stored[text]


def _checked(loaded: LoadedRescaler, sha256: str | None) -> LoadedRescaler:
    if sha256 is not None and sha256.lower() != loaded.weights_sha256:
        raise CheckpointError(
            f"{loaded.id}: the weights have SHA-256 {loaded.weights_sha256}, not {sha256}"
        )
    return loaded


def _filter(name: str) -> LoadedRescaler:
    title, kernel = _FILTERS[name]
    rescaler = FilterRescaler(kernel=kernel, latent_policy=LatentPolicy("none")).eval()
    card = replace(
        describe(rescaler, model_id=name, title=title, notes="A filter; it has no weights."),
        weights_sha256=NO_WEIGHTS_SHA256,
    )
    return LoadedRescaler(name, rescaler, NO_WEIGHTS_SHA256, card)
