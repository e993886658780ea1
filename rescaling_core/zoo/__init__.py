"""Rescaler ids → network, weights and model card."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from rescaling_core.errors import CheckpointError, UsageError
from rescaling_core.model_ids import matching, name_of
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
    "load_filter",
    "parse",
    "save",
    "shipped_path",
]

Kind = TypeVar("Kind", bound=Rescaler)

WEIGHTS_DIR: Final = Path(__file__).parent / "weights"
"""What ships with Refold: `<id>.safetensors` beside `<id>.json`, the tag part of the id."""

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
    stored = [path.with_suffix(".json") for path in _shipped()]
    cards = [ModelCard.from_json(path.read_text("utf-8"), name=path.name) for path in stored]
    return (*(_filter(name).card for name in _FILTERS), *cards)


def load(id_or_path: str | Path, sha256: str | None = None) -> LoadedRescaler:
    """Load a rescaler of the zoo by its id, or one saved to a file.

    Args:
        id_or_path: `irn-x2-lite.2026-11`; `irn-x2-lite` for the newest of that name; `bicubic`;
            or the path of a `.safetensors` file.
        sha256: The digest the weights must have, in hexadecimal. Weights that ship are then found
            by it, whatever their id is by now.

    Raises:
        UsageError: There is no such id or file.
        CheckpointError: The file is damaged, or its digest is not the one asked for or carded.
    """
    text = str(id_or_path)
    if text in _FILTERS:
        return _checked(_filter(text), sha256)
    path = None if sha256 is None or _is_path(text) else shipped_path(sha256.lower())
    path = path or _weights_path(text)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{text}: cannot be read: {error.strerror}") from error
    card_path = path.with_suffix(".json")
    card = card_path.read_text("utf-8") if card_path.exists() else None
    return _checked(parse(data, card, name=text), sha256)


def parse(data: bytes, card_json: str | None, *, name: str) -> LoadedRescaler:
    """Build a rescaler from the bytes of its weights file.

    Args:
        data: The whole `.safetensors` file.
        card_json: Its model card; None if there is none.
        name: What to call it in an error.

    Returns:
        The rescaler, under the id in the file's header, or under its card's id where that is the
        same name with a tag.

    Raises:
        CheckpointError: The file is damaged, or the card is that of other weights.
    """
    model_id, rescaler = read(data, name=name)
    digest = hashlib.sha256(data).hexdigest()
    if card_json is None:
        plain = describe(rescaler, model_id=model_id, title=model_id, licence="unknown")
        card = replace(plain, weights_sha256=digest, weights_bytes=len(data))
        return LoadedRescaler(model_id, rescaler, digest, card)
    card = ModelCard.from_json(card_json, name=f"{name}: its card")
    if card.weights_sha256 != digest or name_of(card.id) != name_of(model_id):
        raise CheckpointError(f"{name}: not the weights its model card describes")
    return LoadedRescaler(card.id, rescaler, digest, card)


def load_filter(name: str) -> LoadedRescaler | None:
    """A rescaler that needs no weights; None if there is none of that name."""
    return _filter(name) if name in _FILTERS else None


def shipped_path(id_or_sha256: str) -> Path | None:
    """The weights file that ships under an id, or with a digest; None if none does.

    Args:
        id_or_sha256: An id, with or without its tag, or 64 hexadecimal digits.
    """
    if len(id_or_sha256) == 64 and all(digit in "0123456789abcdef" for digit in id_or_sha256):
        found = [card.id for card in list_models() if card.weights_sha256 == id_or_sha256]
    else:
        found = matching(id_or_sha256, (path.stem for path in _shipped()))
    return WEIGHTS_DIR / f"{found[0]}.safetensors" if found else None


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


def _shipped() -> list[Path]:
    return sorted(WEIGHTS_DIR.glob("*.safetensors"))


def _is_path(text: str) -> bool:
    return text.endswith(".safetensors")


def _weights_path(text: str) -> Path:
    if "://" in text:
        raise UsageError(f"{text}: a URL is fetched first, by `refold models download`")
    if _is_path(text):
        return Path(text)
    path = shipped_path(text)
    if path is None:
        known = ", ".join((*_FILTERS, *(path.stem for path in _shipped())))
        raise UsageError(
            f"no rescaler {text!r}; known ids: {known}; or the path of a .safetensors file"
        )
    return path


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
