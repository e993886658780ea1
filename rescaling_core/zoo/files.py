"""Weights files: safetensors that say themselves which network they belong to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors

from rescaling_core import limits
from rescaling_core.errors import CheckpointError
from rescaling_core.networks import LatentPolicy, Rescaler, build, load_strictly

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from rescaling_core.zoo.card import ModelCard
    from rescaling_core.zoo.restorer_card import RestorerCard

Card = TypeVar("Card", "ModelCard", "RestorerCard")

HEADER: Final = "refold"
"""The one entry of the safetensors metadata: JSON, so that equal weights give equal bytes."""


def save(
    path: Path, rescaler: Rescaler, card: ModelCard, *, dtype: torch.dtype = torch.float32
) -> ModelCard:
    """Write `path` and the card beside it.

    Args:
        path: Ends in `.safetensors`. The card gets the suffix `.json`.
        rescaler: The trained network.
        card: See `describe`.
        dtype: What the weights are stored as; they are computed with in float32.

    Returns:
        The card as written, with the digest and size of the file.

    Raises:
        CheckpointError: `path` does not end in `.safetensors`, or the card is of another network.
    """
    if (card.family, dict(card.config)) != (rescaler.family, rescaler.config):
        raise CheckpointError(f"{path}: the card describes another network")
    header = {
        "id": card.id,
        "family": rescaler.family,
        "config": rescaler.config,
        "latent_policy": asdict(rescaler.latent_policy),
    }
    return write(path, rescaler.state_dict(), header, card, dtype)


def write(
    path: Path,
    weights: Mapping[str, Tensor],
    header: Mapping[str, Any],
    card: Card,
    dtype: torch.dtype,
) -> Card:
    """Write a network's weights, and the card beside them.

    Args:
        path: Ends in `.safetensors`. The card gets the suffix `.json`.
        weights: Of one network or of several, by name.
        header: What the file says of itself, beside the version of that.
        card: Its digest and size are filled in here.
        dtype: What the weights are stored as.

    Returns:
        The card as written.

    Raises:
        CheckpointError: `path` does not end in `.safetensors`.
    """
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: weights are stored as .safetensors")
    tensors = {name: _stored(tensor, dtype) for name, tensor in weights.items()}
    stated = json.dumps({"version": 1, **header})
    data = serialise_tensors(tensors, metadata={HEADER: stated})
    card = replace(card, weights_sha256=hashlib.sha256(data).hexdigest(), weights_bytes=len(data))
    path.write_bytes(data)
    path.with_suffix(".json").write_text(card.to_json(), encoding="utf-8")
    return card


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor as it is written: a copy, since AIDN+ has two names for each of its tables."""
    if not tensor.is_floating_point():
        dtype = tensor.dtype
    return tensor.detach().to("cpu", dtype).clone(memory_format=torch.contiguous_format)


def read(data: bytes, *, name: str) -> tuple[str, Rescaler]:
    """Build the network that a weights file describes, with its weights.

    Args:
        data: The bytes of the file.
        name: What to call it in an error.

    Returns:
        The id in the file, and the network in evaluation mode, float32, on the CPU.

    Raises:
        CheckpointError: Damaged, not one of our files, or not the network it says it is.
    """
    header = read_header(data, name)
    if "kind" in header:
        raise CheckpointError(f"{name}: weights of a {header['kind']}, not of a rescaler")
    try:
        tensors = parse_tensors(data)
        policy = LatentPolicy(**header["latent_policy"])
        with torch.random.fork_rng(devices=[]):  # initialising must not advance the caller's
            most = sum(tensor.numel() for tensor in tensors.values()) + limits.SPARE_VALUES
            rescaler = build(header["family"], header["config"], policy, most_values=most)
        model_id = str(header["id"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{name}: {error}") from error
    except Exception as error:  # a scale of 0, a text for a number: constructors raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CheckpointError(f"{name}: no network is made of its config: {reason:.200}") from error
    weights = {key: t.float() if t.is_floating_point() else t for key, t in tensors.items()}
    try:
        load_strictly(rescaler, weights)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error
    return model_id, rescaler.eval().requires_grad_(requires_grad=False)


def read_header(data: bytes, name: str) -> Mapping[str, Any]:
    """The JSON that `save` put into the metadata of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    if limits.MAX_HEADER < length < len(data):
        raise CheckpointError(
            f"{name}: a header of {length} bytes: at most {limits.MAX_HEADER} are read"
        )
    try:
        outer = limits.read_json(data[8 : 8 + min(length, limits.MAX_HEADER)])
        header = limits.read_json(outer["__metadata__"][HEADER])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{name}: not a weights file of Refold; "
            "official checkpoints are converted by `refold models import`"
        ) from error
    if len(outer) > limits.MAX_TENSORS:
        raise CheckpointError(f"{name}: {len(outer)} tensors: at most {limits.MAX_TENSORS}")
    if not isinstance(header, dict) or header.get("version") != 1:
        raise CheckpointError(f"{name}: the header is of a version this release cannot read")
    return header
