"""Restorers and their weights: by id, by digest, or by path; each bound to what it was trained on.

A weights file of a restorer says itself which network it belongs to and which coded pictures it
was trained on. Its card, JSON beside it, says how it was made and what it gave.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors.torch import load as parse_tensors

from rescaling_core import limits
from rescaling_core.errors import CheckpointError, UsageError
from rescaling_core.networks.restorer import Restorer
from rescaling_core.networks.room import at_most
from rescaling_core.zoo.files import read_header, write
from rescaling_core.zoo.restorer_card import Coding, RestorerCard, describe, read_coding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from rescaling_core.codecs import CodecSpec

__all__ = [
    "RESTORERS_DIR",
    "Coding",
    "FinalFilter",
    "LoadedRestorer",
    "RestorerCard",
    "describe",
    "list_restorers",
    "load",
    "parse",
    "save",
    "shipped_path",
]

RESTORERS_DIR: Final = Path(__file__).parent / "weights" / "restorers"
"""What ships with Refold: `<id>.safetensors` beside `<id>.json`, the tag part of the id."""

_FINAL: Final = "final."
"""What the names of a final filter's weights begin with."""


@dataclass(frozen=True, slots=True)
class FinalFilter:
    """The last step of a layered file.

    It sees the enlarged picture beside its sum with what that missed, and corrects the sum.
    """

    network: Restorer
    """In evaluation mode, float32, on the CPU; of two pictures."""
    coding: Coding
    """How what is missing is coded; the enlarged picture is told the quality of the small one."""


@dataclass(frozen=True, slots=True)
class LoadedRestorer:
    """A restorer ready to use, and what it is."""

    id: str
    network: Restorer
    """In evaluation mode, float32, on the CPU."""
    coding: Coding
    weights_sha256: str
    """Of the weights file, in hexadecimal."""
    card: RestorerCard
    final: FinalFilter | None = None
    """What the same file holds for layered files, where it enlarges."""

    def check(self, spec: CodecSpec) -> None:
        """See `Coding.check`."""
        self.coding.check(spec, name=self._called)

    def check_but_effort(self, spec: CodecSpec) -> None:
        """See `Coding.check_but_effort`."""
        self.coding.check_but_effort(spec, name=self._called)

    @property
    def _called(self) -> str:
        return f"{self.id} ({self.weights_sha256[:12]})"


def list_restorers() -> tuple[RestorerCard, ...]:
    """The cards of all restorers that ship with Refold, by id."""
    cards = (path.with_suffix(".json") for path in _shipped())
    return tuple(RestorerCard.from_json(card.read_text("utf-8"), name=card.name) for card in cards)


def load(id_or_path: str | Path, sha256: str | None = None) -> LoadedRestorer:
    """Load a restorer by its id, or one saved to a file.

    Args:
        id_or_path: `restorer-avif-lite.2026-11`; `restorer-avif-lite` for the newest of that
            name; or the path of a `.safetensors` file.
        sha256: The digest the weights must have, in hexadecimal. Weights that ship are then found
            by it, whatever their id is by now.

    Raises:
        UsageError: There is no such id or file.
        CheckpointError: The file is damaged, or its digest is not the one asked for or carded.
    """
    text = str(id_or_path)
    if text.endswith(".safetensors"):
        path: Path | None = Path(text)
    else:
        path = shipped_path(sha256.lower()) if sha256 else None
        path = path or shipped_path(text)
    if path is None:
        known = ", ".join(card.id for card in list_restorers()) or "none ships"
        wanted = f" with weights {sha256}" if sha256 else ""
        raise UsageError(
            f"no restorer {text!r}{wanted}; known ids: {known}; or the path of a .safetensors file"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{text}: cannot be read: {error.strerror}") from error
    card = path.with_suffix(".json")
    loaded = parse(data, card.read_text("utf-8") if card.exists() else None, name=text)
    if sha256 is not None and sha256.lower() != loaded.weights_sha256:
        raise CheckpointError(
            f"restorer {loaded.id}: the weights have SHA-256 {loaded.weights_sha256}, not {sha256}"
        )
    return loaded


def shipped_path(id_or_sha256: str) -> Path | None:
    """The weights file that ships under an id or a name, or with a digest; None if none does."""
    text = id_or_sha256
    for card in reversed(list_restorers()):  # the newest tag first
        if text in (card.id, card.id.rpartition(".")[0], card.weights_sha256):
            return RESTORERS_DIR / f"{card.id}.safetensors"
    return None


def save(
    path: Path,
    network: Restorer,
    card: RestorerCard,
    *,
    final: FinalFilter | None = None,
    dtype: torch.dtype = torch.float32,
) -> RestorerCard:
    """Write `path` and the card beside it.

    Args:
        path: Ends in `.safetensors`. The card gets the suffix `.json`.
        network: The trained network.
        card: See `describe`.
        final: The filter that the file holds beside it.
        dtype: What the weights are stored as; they are computed with in float32.

    Returns:
        The card as written, with the digest and size of the file.

    Raises:
        CheckpointError: `path` does not end in `.safetensors`, or the card is of another network.
    """
    described = None if card.final is None else dict(card.final.config)
    if dict(card.config) != network.config or described != (final and final.network.config):
        raise CheckpointError(f"{path}: the card describes another network")
    header: dict[str, Any] = {
        "kind": "restorer",
        "id": card.id,
        "config": network.config,
        "coding": asdict(card.coding),
    }
    tensors = network.state_dict()
    if final is not None:
        header["final"] = {"config": final.network.config, "coding": asdict(final.coding)}
        tensors |= {_FINAL + key: value for key, value in final.network.state_dict().items()}
    return write(path, tensors, header, card, dtype)


def parse(data: bytes, card_json: str | None, *, name: str) -> LoadedRestorer:
    """Build a restorer from the bytes of its weights file.

    Args:
        data: The whole `.safetensors` file.
        card_json: Its card; None if there is none.
        name: What to call it in an error.

    Raises:
        CheckpointError: The file is damaged or not of a restorer, or the card is that of others.
    """
    header = read_header(data, name)
    if header.get("kind") != "restorer":
        raise CheckpointError(f"{name}: weights of a rescaler, not of a restorer")
    try:
        tensors = {key: tensor.float() for key, tensor in parse_tensors(data).items()}
        final = None
        if "final" in header:
            names = [name for name in tensors if name.startswith(_FINAL)]
            last = {name.removeprefix(_FINAL): tensors.pop(name) for name in names}
            filtering = _built(header["final"]["config"], last)
            final = FinalFilter(filtering, read_coding(header["final"]["coding"]))
        network = _built(header["config"], tensors)
        coding = read_coding(header["coding"])
        _check_together(network, final)
        restorer_id = str(header["id"])
    except Exception as error:  # constructors raise anything when they are told nonsense
        reason = " ".join(f"{error}".split()) or type(error).__name__
        raise CheckpointError(f"{name}: {reason:.300}") from error
    digest = hashlib.sha256(data).hexdigest()
    if card_json is None:
        plain = describe(
            network,
            coding,
            restorer_id=restorer_id,
            title=restorer_id,
            licence="unknown",
            final=None if final is None else (final.network, final.coding),
        )
        card = replace(plain, weights_sha256=digest, weights_bytes=len(data))
    else:
        card = RestorerCard.from_json(card_json, name=f"{name}: its card")
        if card.weights_sha256 != digest or card.id != restorer_id:
            raise CheckpointError(f"{name}: not the weights its card describes")
    return LoadedRestorer(restorer_id, network, coding, digest, card, final)


def _built(config: Mapping[str, Any], tensors: dict[str, Tensor]) -> Restorer:
    """A network with its weights, ready to use."""
    limits.check_config({key: value for key, value in config.items() if key != "errors"})
    most = sum(tensor.numel() for tensor in tensors.values()) + limits.SPARE_VALUES
    # Initialising must not advance the caller's generator.
    with torch.random.fork_rng(devices=[]), at_most(most):
        network = Restorer(**config)
    network.load_state_dict(tensors, strict=True)
    return network.eval().requires_grad_(requires_grad=False)


def _check_together(network: Restorer, final: FinalFilter | None) -> None:
    if network.pictures != 1:
        raise ValueError("a restorer of its own sees one picture")
    if final is not None and (network.scale, final.network.scale) != (2, 1):
        raise ValueError("a final filter, which does not enlarge, stands behind an enlargement")
    if final is not None and final.network.pictures != 2:
        raise ValueError("a final filter sees two pictures")


def _shipped() -> list[Path]:
    return sorted(RESTORERS_DIR.glob("*.safetensors"))
