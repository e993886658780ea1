"""What the registry knows of a family of rescalers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor

from rescaling_core import limits
from rescaling_core.errors import CheckpointError
from rescaling_core.networks.room import at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.networks.base import Rescaler
    from rescaling_core.networks.latent import LatentPolicy

StateDict: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One published system (or one of ours): its class, and how its files are read."""

    rescaler: type[Rescaler]
    title: str
    """Name, venue and year, as people cite it."""
    latent_policy: LatentPolicy
    """The latent that the official weights of this family were trained to receive."""
    deduce: Callable[[StateDict], dict[str, Any]]
    """The config of the network that an official state dict belongs to.

    Raises `CheckpointError` (or `KeyError`, `IndexError`, `ValueError`) if it belongs to none.
    """

    notes: str = ""
    """Remarks that every model card of the family repeats."""

    @property
    def name(self) -> str:
        """The key in `FAMILIES`."""
        return self.rescaler.family

    def build(
        self,
        config: Mapping[str, Any],
        latent_policy: LatentPolicy,
        *,
        most_values: int | None = None,
    ) -> Rescaler:
        """Make the network, untrained.

        Args:
            config: Keyword arguments of the class.
            latent_policy: What its weights receive in place of the latent.
            most_values: Values that its tensors may hold together; the building stops at the
                first tensor beyond. None where the config is the owner's own.

        Raises:
            CheckpointError: The config is not one of this family, or asks for too much.
        """
        try:
            if most_values is not None:
                limits.check_config(dict(config))
            with at_most(most_values):
                return self.rescaler(**config, latent_policy=latent_policy)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{self.name}: no such network: {error}") from error

    def config_of(self, state_dict: StateDict) -> dict[str, Any]:
        """Deduce the config from the names and shapes in a state dict.

        Raises:
            CheckpointError: It does not look like this family at all.
        """
        try:
            return self.deduce(state_dict)
        except (KeyError, IndexError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            sample = ", ".join(sorted(state_dict)[:3]) or "no tensors"
            raise CheckpointError(
                f"not a checkpoint of family {self.name} (it holds {sample}, …)"
            ) from error


def load_strictly(rescaler: Rescaler, state_dict: StateDict) -> None:
    """Fill a network with weights: every key, every shape, and the constants it relies on.

    Raises:
        CheckpointError: Names what is missing, unexpected or misshapen; the network is unchanged.
    """
    own = rescaler.state_dict()
    complaints = []
    if missing := sorted(own.keys() - state_dict.keys()):
        complaints.append(f"missing keys: {_some(missing)}")
    if unexpected := sorted(state_dict.keys() - own.keys()):
        complaints.append(f"unexpected keys: {_some(unexpected)}")
    misshapen = [
        f"{key} is {tuple(state_dict[key].shape)}, expected {tuple(own[key].shape)}"
        for key in sorted(own.keys() & state_dict.keys())
        if own[key].shape != state_dict[key].shape
    ]
    if misshapen:
        complaints.append(f"wrong shapes: {_some(misshapen)}")
    if complaints:
        raise CheckpointError(f"{rescaler.family}: {'; '.join(complaints)}")
    rescaler.check_constants(state_dict)
    rescaler.load_state_dict(dict(state_dict), strict=True)


def _some(names: list[str], most: int = 6) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
