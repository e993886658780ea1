"""Official checkpoints → networks: read without executing anything, checked key by key."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from torch import Tensor

from rescaling_core import limits
from rescaling_core.errors import CheckpointError
from rescaling_core.networks import FAMILIES, Rescaler, family, load_strictly

if TYPE_CHECKING:
    from rescaling_core.networks import LatentPolicy, StateDict

_WRAPPERS: Final = ("state_dict", "params_ema", "params", "model")
"""Keys under which training codes put the state dict, beside optimisers and epochs."""

_DATA_PARALLEL: Final = "module."


def import_checkpoint(
    files: dict[str, bytes],
    *,
    family_name: str,
    scale: float,
    latent_policy: LatentPolicy | None = None,
) -> Rescaler:
    """Build a network from official files.

    Args:
        files: Name → bytes of a `.pth` or `.safetensors` file. Several only where the family is
            published in several files (IRN and its CRM).
        family_name: A key of `FAMILIES`.
        scale: One the network must have been made for.
        latent_policy: Instead of the family's own.

    Returns:
        The network in evaluation mode.

    Raises:
        CheckpointError: Truncated, holding code, of another family or scale, or not exactly the
            keys and shapes of the network; the message names the file and the reason.
    """
    name = " + ".join(files)
    state_dict: dict[str, Tensor] = {}
    for file_name, data in files.items():
        state_dict |= read_state_dict(data, name=file_name)
    record = family(family_name)
    try:
        config = record.config_of(state_dict)
        with torch.random.fork_rng(devices=[]):  # initialising must not advance the caller's
            rescaler = record.build(
                config, latent_policy or record.latent_policy, most_values=_room_for(state_dict)
            )
        load_strictly(rescaler, state_dict)
    except CheckpointError as error:
        other = _recognise(state_dict)
        hint = f"; it looks like family {other}" if other not in (None, family_name) else ""
        raise CheckpointError(f"{name}: {error}{hint}") from error
    if scale not in rescaler.scales:
        raise CheckpointError(f"{name}: a network for {rescaler.scales}, not for x{scale:g}")
    return rescaler.eval().requires_grad_(requires_grad=False)


def read_state_dict(data: bytes, *, name: str) -> StateDict:
    """The tensors of a checkpoint, as float32, by their official names.

    A wrapping dict and the prefix `module.` are taken off.

    Args:
        data: The bytes of the file.
        name: What to call it in an error.

    Raises:
        CheckpointError: Truncated, holding anything but tensors and plain values, or not finite.
    """
    found = _unpickle(data, name) if not _is_safetensors(data) else _parse(data, name)
    for wrapper in _WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    if not isinstance(found, dict) or not found:
        raise CheckpointError(f"{name}: not a state dict but a {type(found).__name__}")
    if len(found) > limits.MAX_TENSORS:
        raise CheckpointError(f"{name}: {len(found)} tensors: at most {limits.MAX_TENSORS}")
    tensors: dict[str, Tensor] = {}
    room = max(len(data), limits.MAX_HEADER)  # every value takes a byte of the file, at least
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{name}: {key!r:.80} is a {type(value).__name__}, not a tensor")
        _check_name(key, name)
        room -= value.numel()
        if room < 0 or value.layout != torch.strided:
            raise CheckpointError(f"{name}: {key} states more values than the file holds")
        if value.is_floating_point():
            if not torch.isfinite(value).all():
                raise CheckpointError(f"{name}: {key} holds values that are not finite")
            value = value.float()
        tensors[key.removeprefix(_DATA_PARALLEL)] = value
    return tensors


def _is_safetensors(data: bytes) -> bool:
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data)


def _parse(data: bytes, name: str) -> dict[str, Tensor]:
    try:
        return parse_tensors(data)
    except SafetensorError as error:
        raise CheckpointError(f"{name}: damaged: {error}") from error


def _unpickle(data: bytes, name: str) -> Any:
    _refuse_bomb(data, name)
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = "global" in str(error).lower()
        reason = "it holds code" if code else "damaged, or it holds code"
        raise CheckpointError(f"{name}: refused: {reason}; only tensors are read") from error
    except Exception as error:
        raise CheckpointError(f"{name}: truncated, or not a checkpoint") from error


def _refuse_bomb(data: bytes, name: str) -> None:
    """Refuse an archive that unpacks to far more than it is: checkpoints are stored as they are."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError):
        return  # of the older format, or damaged, which `torch.load` says
    if unpacked > 2 * len(data) + limits.MAX_HEADER:
        raise CheckpointError(f"{name}: refused: it unpacks to {unpacked} bytes")


def _check_name(key: str, name: str) -> None:
    """Refuse a key that no network has: configs are deduced from the numbers in them.

    Raises:
        CheckpointError: It is too long, or holds too high a number.
    """
    if len(key) > limits.MAX_TENSOR_NAME:
        raise CheckpointError(f"{name}: a tensor's name of {len(key)} characters")
    for number in re.findall("[0-9]+", key):
        if len(number) > limits.MAX_DIGITS or int(number) > limits.MAX_TENSORS:
            raise CheckpointError(f"{name}: {key}: the number {number[:40]} is too high")


def _room_for(state_dict: StateDict) -> int:
    return sum(tensor.numel() for tensor in state_dict.values()) + limits.SPARE_VALUES


def _recognise(state_dict: StateDict) -> str | None:
    """The family whose network these keys and shapes fit exactly, if there is one."""
    for record in FAMILIES.values():
        try:
            config = record.config_of(state_dict)
            network = record.build(config, record.latent_policy, most_values=_room_for(state_dict))
            load_strictly(network, state_dict)
        except CheckpointError:
            continue
        return record.name
    return None
