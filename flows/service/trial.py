"""What a photo would become in an archive: made once, measured and shown, and stored nowhere."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass, replace
from typing import Final

from rescaling_core import SOFTWARE, codecs, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Kept, Rendition, SourceRef, convert
from rescaling_core.errors import CodecUnavailableError, RefoldError, UsageError
from rescaling_core.opened import OpenedLr, open_lr
from rescaling_core.photo import Photo, decode_photo
from rescaling_core.pixels.arrays import U8Array
from rescaling_core.plan import FULL_SIZE, ArchivePlan, Candidate, Floor, Target, TargetPlan
from rescaling_core.restore import restore_whole
from tasks.models.lookup import Models
from tasks.plans.options import PlanOptions, build_plan, single_codec_plan

OTHERS: Final = (("AVIF", "avif-420"), ("JPEG XL", "jxl"))
"""What a photo is compared with: title, and codec at full size."""

_ANY_SIZE: Final = 10**9
"""Bytes that a source is said to have: a trial is shown even where an archive would keep the
source, since the file is smaller than what was made of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What somebody wants to see of a photo."""

    rescaler: str
    """One of `rescalers()`."""
    scale: float
    """HR side divided by LR side; 1 at full size."""
    codec: str
    """Of the LR image, as `CodecSpec.parse` reads it."""
    quality: int | None
    """In the codec's own scale. None for its default, or the lowest that reaches the floor."""
    floor: float | None
    """PSNR-Y in dB that the restoration has to reach."""

    def plan(self) -> TargetPlan:
        """As an archive would be told it.

        Raises:
            UsageError: The parts do not go together, by what they are called on the page.
        """
        if self.rescaler not in rescalers():  # never a path or a URL
            raise UsageError("rescaler: choose one of those that are listed")
        spec = CodecSpec.parse(self.codec, self.quality)
        codecs.check_available(spec)
        floor = Floor() if self.floor is None else Floor(psnr_y=self.floor)
        span, qualities = spec.codec.qualities, None
        if span and spec.quality is not None and self.quality is None and self.floor is not None:
            qualities = (span[0], span[-1])
        if self.rescaler == FULL_SIZE:
            full = Candidate(FULL_SIZE, spec, qualities=qualities)
            return TargetPlan(target=Target(scale=1.0), candidates=(full,), floor=floor)
        options = PlanOptions(
            targets=(f"x{self.scale:g}",),
            rescalers=(self.rescaler,),
            codec=self.codec,
            quality=self.quality,
            floor=() if self.floor is None else (f"psnr_y={self.floor}",),
        )
        (target,) = build_plan(options).targets
        searched = (replace(one, qualities=qualities) for one in target.candidates)
        return replace(target, candidates=tuple(searched))


@dataclass(frozen=True, slots=True)
class Other:
    """What another way of storing the photo takes at the same quality."""

    title: str
    nbytes: int | None
    psnr_y: float | None
    said: str
    """Its settings, or why there is no such file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was made of a photo."""

    name: str
    source: Photo
    source_bytes: int
    choice: Choice
    made: OpenedLr | None
    """None where nothing reaches the floor."""
    restored: U8Array | None
    """As stored, before it is turned upright."""
    reason: str
    """Why nothing was made."""
    aim: float | None
    """PSNR-Y that the others had to reach; None where they were not made."""
    others: tuple[Other, ...]

    @property
    def is_larger(self) -> bool:
        """Whether an archive would keep the source, as what was made of it is not smaller."""
        return self.made is not None and len(self.made.data) >= self.source_bytes


def rescalers() -> dict[str, str]:
    """The networks and filters that can be chosen: id → title."""
    cards = {card.id: f"{card.title} ({card.scales})" for card in zoo.list_models()}
    return {**cards, FULL_SIZE: "none: the codec alone, at full size"}


def try_photo(data: bytes, name: str, choice: Choice, *, max_pixels: int, until: float) -> Trial:
    """Make, restore and measure what an archive would hold of a photo, and what others take.

    Args:
        data: The whole file.
        name: What it is called.
        choice: How it is to be stored.
        max_pixels: Width × height above which nothing is decoded.
        until: Of the monotonic clock; what is not begun by then is left out of the comparison.

    Raises:
        UsageError: The choice makes no sense.
        PhotoError: It is not a photo, or one that an archive keeps as it is.
        RefoldError: It cannot be restored.
    """
    plan = choice.plan()
    photo = decode_photo(data, max_pixels=max_pixels)
    digest = hashlib.sha256(data).hexdigest()
    source = SourceRef(key=name, etag="", size=_ANY_SIZE, sha256=digest)
    models = Models()
    outcome = convert(photo, source, plan, models, software=SOFTWARE, data=data)
    made = restored = None
    reached: float | None = choice.floor
    if isinstance(outcome, Rendition):
        made = open_lr(outcome.lr_data, max_pixels=max_pixels)
        restored = restore_whole(made, models).pixels
        reached = outcome.metadata.psnr_y if choice.floor is None else choice.floor
    aim = None if reached is None or math.isinf(reached) else math.floor(100 * reached) / 100
    others: tuple[Other, ...] = ()
    if aim is not None:
        others = tuple(
            _other(title, codec, photo, source, replace(plan, floor=Floor(psnr_y=aim)), until)
            for title, codec in OTHERS
        )
    return Trial(
        name=name,
        source=photo,
        source_bytes=len(data),
        choice=choice,
        made=made,
        restored=restored,
        reason=outcome.reason if isinstance(outcome, Kept) else "",
        aim=aim,
        others=others,
    )


def _other(
    title: str, codec: str, photo: Photo, source: SourceRef, like: TargetPlan, until: float
) -> Other:
    if time.monotonic() > until:
        return Other(title, None, None, "not tried: there was no time left")
    try:
        codecs.check_available(CodecSpec.parse(codec))
        single = single_codec_plan(codec, ArchivePlan(targets=(like,)))
        if single is None:
            return Other(title, None, None, "has no quality to be searched")
        outcome = convert(photo, source, single.targets[0], Models(), software=SOFTWARE)
    except CodecUnavailableError:
        return Other(title, None, None, "not installed here")
    except RefoldError:  # a codec that cannot hold this photo; the others can
        return Other(title, None, None, "cannot hold this photo")
    if isinstance(outcome, Kept):
        return Other(title, None, None, "does not reach that quality")
    record = outcome.metadata
    said = f"{codec} at quality {record.quality}, {record.width} × {record.height} pixels"
    return Other(title, len(outcome.lr_data), record.psnr_y, said)
