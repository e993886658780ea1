"""What `refold models list` says of a card, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rescaling_core.zoo.restorer_card import RestorerCard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.zoo import ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One line of the list, as it is printed."""

    id: str
    use: str
    """Scales, family, and the codec and qualities that it was trained for."""
    parameters: str
    macs_per_pixel: str
    """Multiply-accumulates per restored pixel."""
    set5: str
    """Of a rescaler: restored PSNR-Y. Of a restorer: bytes at equal PSNR-Y, against the same files
    without it. Empty where it was not measured."""
    trained: str
    licence: str


def row_of(card: ModelCard | RestorerCard) -> ModelRow:
    """The line of one card."""
    if isinstance(card, RestorerCard):
        use = _coded(card.coding.codec, card.coding.qualities, card.coding.effort)
        macs, count, set5 = card.macs_per_pixel, card.parameters, _bytes_on_set5(card)
        if card.final is not None:
            use = f"{use}, x2 layered"
            macs, count = macs + card.final.macs_per_pixel, count + card.final.parameters
    else:
        use = ", ".join([str(card.scales), card.family, *_trained_for(card)])
        macs, count, set5 = card.macs_per_hr_pixel, card.parameters, _psnr_on_set5(card)
    return ModelRow(
        id=card.id,
        use=use,
        parameters=_short(count),
        macs_per_pixel=_short(macs),
        set5=set5,
        trained=_trained(card.training),
        licence=card.licence,
    )


def _trained_for(card: ModelCard) -> list[str]:
    """What becomes of the LR image, where that is known."""
    compression = card.training.get("compression")
    if compression is not None:
        return [_coded("/".join(compression["codecs"]), compression["quality"])]
    simulated = card.config.get("codec_quality")  # AIDN+ has a simulator of JPEG inside
    if simulated is not None:
        return [_coded("jpeg-420", (simulated, simulated))]
    return ["lossless"] if "recipe" in card.training else []


def _coded(codec: str, qualities: tuple[int, int], effort: int | None = None) -> str:
    lowest, highest = qualities
    text = f"{codec} at {lowest}" if lowest == highest else f"{codec} at {lowest}-{highest}"
    return text if effort is None else f"{text}, effort {effort}"


def _short(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def _psnr_on_set5(card: ModelCard) -> str:
    """Restored from what the network itself downscaled, or what a coded LR image leaves of that."""
    named = [name for name in card.metrics if name.partition(",")[0] == "Set5"]
    row = card.metrics[named[-1]] if named else None
    value = row.get("psnr_y") if isinstance(row, dict) else None
    if value is None:
        return ""
    _, _, at = named[-1].partition(", ")
    return f"{value:.2f} dB, {at}" if at else f"{value:.2f} dB"


def _bytes_on_set5(card: RestorerCard) -> str:
    """Over 30 to 42 dB, or at the one floor where layered files were measured."""
    known: Mapping[str, Any] = card.metrics.get("Set5", {})
    percent = known.get("percent_30_to_42_dB")
    if percent is not None:
        return f"{percent:+.1f} % bytes"
    percent = known.get("bytes_at", {}).get("34 dB", {}).get("percent")
    return "" if percent is None else f"{percent:+.1f} % bytes, 34 dB"


def _trained(training: Mapping[str, Any]) -> str:
    """How long, on what kind of machine."""
    minutes = training.get("cpu_minutes") or training.get("minutes")
    steps = training.get("iterations")
    if minutes is None or steps is None:
        return ""
    hardware = str(training.get("hardware", ""))
    on_gpu = "GPU" in hardware or "cuda" in hardware
    return f"{minutes:.0f} min {'GPU' if on_gpu else 'CPU'}, {steps:,} steps"
