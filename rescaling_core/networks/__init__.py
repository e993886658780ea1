"""The networks: one module per family, one line in the registry.

A family is a subclass of `Rescaler` whose state-dict keys are the official ones, and a `Family`
record that says how its official files are read.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from rescaling_core.errors import CheckpointError
from rescaling_core.networks import (
    aidn,
    dlv_irn,
    filters,
    firn,
    hyperthumbnail,
    irn,
    irn_color,
    irn_crm,
    sain,
    tirn,
)
from rescaling_core.networks.base import Downscaled, Rescaler, ScaleRange
from rescaling_core.networks.bijective import BijectiveRescaler
from rescaling_core.networks.family import Family, StateDict, load_strictly
from rescaling_core.networks.latent import LatentPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FAMILIES",
    "BijectiveRescaler",
    "Downscaled",
    "Family",
    "LatentPolicy",
    "Rescaler",
    "ScaleRange",
    "StateDict",
    "build",
    "family",
    "load_strictly",
]

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        module.FAMILY.name: module.FAMILY
        for module in (
            filters,
            irn,
            irn_crm,
            irn_color,
            sain,
            aidn,
            dlv_irn,
            tirn,
            firn,
            hyperthumbnail,
        )
    }
)


def family(name: str) -> Family:
    """The family called `name`.

    Raises:
        CheckpointError: There is none; the message lists those there are.
    """
    if name not in FAMILIES:
        raise CheckpointError(f"unknown family {name!r}; one of {', '.join(sorted(FAMILIES))}")
    return FAMILIES[name]


def build(
    name: str,
    config: Mapping[str, Any],
    latent_policy: LatentPolicy,
    *,
    most_values: int | None = None,
) -> Rescaler:
    """Make an untrained network of family `name`; see `Family.build`.

    Raises:
        CheckpointError: There is no such family, or the config is not one of it.
    """
    return family(name).build(config, latent_policy, most_values=most_values)
