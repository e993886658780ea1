"""What stands in for the latent `z` at restoration: a fact of the weights, and of each file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from rescaling_core import limits

LatentKind = Literal["none", "zeros", "gaussian", "mixture"]
LATENT_KINDS: Final[tuple[str, ...]] = get_args(LatentKind)


@dataclass(frozen=True, slots=True)
class LatentPolicy:
    """What a network was trained to receive in place of the latent.

    The policy belongs to the weights: a network trained with sampled z restores several dB worse
    with zeros, and the other way round.
    """

    kind: LatentKind
    """Where the latent comes from. `none`: the network has no latent. `mixture`: it is drawn from a
    learned Gaussian mixture."""
    std: float = 1.0
    """Standard deviation of a `gaussian` draw."""

    def __post_init__(self) -> None:
        if not 0 <= self.std <= limits.MAX_STD:
            raise ValueError(f"latent std {self.std}: a number from 0 to {limits.MAX_STD:g}")
        if self.kind not in LATENT_KINDS:
            raise ValueError(f"unknown latent kind {self.kind!r}; one of {', '.join(LATENT_KINDS)}")

    @property
    def is_random(self) -> bool:
        """Whether a draw needs a seed to be repeatable."""
        return self.kind in ("gaussian", "mixture")
