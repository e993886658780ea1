"""What a restorer was trained on, how it was made, and what it gave."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import torch
from torch.utils.flop_counter import FlopCounterMode

from rescaling_core import limits
from rescaling_core.codecs import CodecSpec
from rescaling_core.codecs.fingerprint import fingerprint, settings_of
from rescaling_core.errors import CheckpointError, UsageError
from rescaling_core.networks.restorer import BLOCK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.networks.restorer import Restorer

_PROBE: Final = 32 * BLOCK
"""Pixels on a side of the picture whose multiplications are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """Which coded pictures a restorer was trained on; it is worth nothing on others."""

    codec: str
    """As `CodecSpec.parse` reads it, less the quality."""
    effort: int | None
    """In the codec's own scale; None for its default."""
    settings: Mapping[str, Any]
    """All that the encoder was told beside the quality, see `settings_of`."""
    qualities: tuple[int, int]
    """The lowest and the highest it was trained on, in the codec's own scale."""
    fingerprint: str
    """Of the encoder's bytes at these settings, see `fingerprint`, at both of `qualities`."""

    @classmethod
    def of(cls, codec: str, effort: int | None, qualities: tuple[int, int]) -> Self:
        """What this release's encoder does at these settings.

        Raises:
            UsageError: There is no such codec, or it has no such quality or effort.
            CodecUnavailableError: The encoder is not installed.
        """
        spec = _spec(codec, effort, qualities[0])
        return cls(
            codec=codec,
            effort=effort,
            settings=settings_of(spec),
            qualities=qualities,
            fingerprint=fingerprint(spec, qualities),
        )

    def spec(self, quality: int) -> CodecSpec:
        """The codec at one quality."""
        return _spec(self.codec, self.effort, quality)

    def check(self, spec: CodecSpec, *, name: str) -> None:
        """Refuse pictures of another codec, of other encoder settings, or of a quality outside.

        Args:
            spec: What the pictures were coded by.
            name: What to call the restorer in the error.

        Raises:
            UsageError: It says for what the restorer is.
        """
        if str(spec) != self.codec:
            raise UsageError(f"restorer {name}: it is for {self.codec}, not for {spec}")
        settings = settings_of(spec)
        changed = [key for key, value in self.settings.items() if settings.get(key) != value]
        changed += sorted(settings.keys() - self.settings.keys())
        if changed:
            told = ", ".join(
                f"{key} {self.settings.get(key)}, not {settings.get(key)}" for key in changed
            )
            raise UsageError(f"restorer {name}: it is for {self.codec} coded with {told}")
        lowest, highest = self.qualities
        if spec.quality is None or not lowest <= spec.quality <= highest:
            raise UsageError(
                f"restorer {name}: it is for {self.codec} of quality {lowest} to {highest}, "
                f"not {spec.quality}"
            )

    def check_but_effort(self, spec: CodecSpec, *, name: str) -> None:
        """As `check`, where the effort and nudges may differ: what that costs is measured."""
        self.check(replace(spec, effort=self.effort, nudge=None), name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalCard:
    """What is known about the final filter in the same file."""

    config: Mapping[str, Any]
    """Keyword arguments of `Restorer`."""
    coding: Coding
    """How what is missing after enlarging is coded."""
    parameters: int
    macs_per_pixel: float
    halo: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorerCard:
    """What is known about the weights of one restorer. Stored as JSON beside them."""

    kind: Literal["restorer"] = "restorer"
    id: str
    title: str
    config: Mapping[str, Any]
    """Keyword arguments of `Restorer`."""
    coding: Coding
    parameters: int
    macs_per_pixel: float
    """Multiply-accumulates of all convolutions, per restored pixel."""
    halo: int
    """Decoded pixels around a tile on which its own pixels depend."""
    licence: str = "Apache-2.0"
    """Of the weights, as an SPDX expression or a sentence."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """How the weights were made: data, recipe, command, seed, hardware, minutes, iterations, …"""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Tables of what was measured: name → rows."""
    notes: str = ""
    weights_sha256: str = ""
    """Of the weights file, in hexadecimal."""
    weights_bytes: int = 0
    final: FinalCard | None = None
    """Of a file that holds a final filter for layered files beside the enlargement."""

    def to_json(self) -> str:
        """Readable JSON, keys in the order of the fields."""
        values = asdict(self)
        if self.final is None:
            del values["final"]  # older cards have no such field
        return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, name: str) -> RestorerCard:
        """Read what `to_json` wrote.

        Raises:
            CheckpointError: It is not the card of a restorer.
        """
        try:
            values: dict[str, Any] = limits.read_json(text)
            if values["kind"] != "restorer":
                raise CheckpointError(f"{name}: the card of a {values['kind']}, not of a restorer")
            values["coding"] = read_coding(values["coding"])
            final = values.setdefault("final", None)
            if final is not None:
                final["coding"] = read_coding(final["coding"])
                values["final"] = FinalCard(**final)
            return cls(**{known.name: values.pop(known.name) for known in fields(cls)})
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{name}: not the card of a restorer: {error}") from error


def describe(
    network: Restorer,
    coding: Coding,
    *,
    restorer_id: str,
    title: str,
    licence: str = "Apache-2.0",
    training: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    notes: str = "",
    final: tuple[Restorer, Coding] | None = None,
) -> RestorerCard:
    """Write the card of a restorer; what can be read off the networks is."""
    return RestorerCard(
        id=restorer_id,
        title=title,
        config=network.config,
        coding=coding,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs_per_pixel=round(count_macs(network), 1),
        halo=network.halo,
        licence=licence,
        training=training or {},
        metrics=metrics or {},
        notes=notes,
        final=None if final is None else _final_card(*final),
    )


def _final_card(network: Restorer, coding: Coding) -> FinalCard:
    return FinalCard(
        config=network.config,
        coding=coding,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs_per_pixel=round(count_macs(network), 1),
        halo=network.halo,
    )


def count_macs(network: Restorer) -> float:
    """Multiply-accumulates of the convolutions, per restored pixel."""
    told, gains = network.conditions([[table[0][0] for table in network.errors]])
    side = _PROBE // network.scale
    device = network.head.weight.device
    given = torch.zeros(1, 3 * network.pictures, side, side, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(given, told.to(device), gains.to(device))
    return float(counter.get_total_flops()) / 2 / _PROBE**2


def _spec(codec: str, effort: int | None, quality: int) -> CodecSpec:
    spec = CodecSpec.parse(codec, quality)
    return CodecSpec(spec.name, spec.quality, spec.chroma, effort)


def read_coding(values: Mapping[str, Any]) -> Coding:
    """What `asdict` made of a coding, after its way through JSON.

    Raises:
        KeyError, TypeError, ValueError: It is not one.
    """
    lowest, highest = values["qualities"]
    return Coding(
        codec=str(values["codec"]),
        effort=None if values["effort"] is None else int(values["effort"]),
        settings=dict(values["settings"]),
        qualities=(int(lowest), int(highest)),
        fingerprint=str(values["fingerprint"]),
    )
