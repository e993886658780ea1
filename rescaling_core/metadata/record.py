"""The record itself, and its JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal

from rescaling_core import limits
from rescaling_core.errors import MetadataError
from rescaling_core.latent import LatentPolicy
from rescaling_core.metadata import compact
from rescaling_core.metadata.carried import Carried
from rescaling_core.metadata.checks import check_record
from rescaling_core.metadata.parts import ResidualRecord, fitted_of, residual_of
from rescaling_core.photo.record import MODES
from rescaling_core.plan.strategy import AS_STORED, strategy_name
from rescaling_core.quality.scores import MEASURES, Scores, known, names_in_order

if TYPE_CHECKING:
    from rescaling_core.fitted import FittedFilter

SCHEMA_VERSION: Final = 2
"""Raised when a reader of the version before would restore wrongly. Fields may be added within a
version: readers ignore those they do not know. A record with a fitted filter is of version 3."""
READ_VERSIONS: Final = (1, 2, 3)
"""What this release reads: every version there ever was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationMetadata(Scores):
    """All that is needed to restore a rendition and to check the result.

    The measures are None in a draft, as they are known only once the LR file is encoded, decoded
    and restored, and in a preview, which is not restored.
    """

    source_key: str
    source_etag: str
    source_size: int
    """Bytes."""
    source_sha256: str
    width: int
    """Of the source, in pixels, as stored."""
    height: int
    mode: str
    """Pillow's mode of the source."""
    format: str
    """Pillow's name of the source's format."""
    target: str
    scale: float
    """HR side / LR side; of a preview, of the longer sides."""
    lr_width: int
    lr_height: int
    rescaler: str
    weights_sha256: str
    latent_policy: LatentPolicy
    latent_seed: int
    codec: str
    """As `CodecSpec.parse` reads it."""
    quality: int | None
    """In the codec's own scale; None for lossless."""
    padding: Literal["replicate"] = "replicate"
    """How the right and bottom edge are filled up to a multiple of the network's block."""
    tile: int
    """HR pixels a side of the tiles that the image is worked on in; 0 for the whole at once."""
    overlap: int
    """LR pixels of context around a tile."""
    software: str
    """Name and version of what wrote this."""
    extras: Carried
    lr_pixels_sha256: str | None = None
    """Of the decoded LR samples: a file cannot hold its own digest. In version 2 its first 16
    bytes."""
    psnr_y: float | None = None
    """dB, whole image, 8 bits; infinite if the restoration is exact."""
    ssim_y: float | None = None
    max_abs_error: int | None = None
    """Levels, the worst sample of any channel."""
    ssimulacra2: float | None = None
    """Points; None where no floor asked for it."""
    fingerprint: str | None = None
    """Of the restored pixels; see `fingerprint`. None of a preview, and in version 2 of a file
    whose pixels are the restoration: `lr_pixels_sha256` says more of them."""
    residual: ResidualRecord | None = None
    """What is added to the restoration; None if nothing is."""
    origin: Literal["restored image"] | None = None
    """What it was made from and measured against; None for the source itself."""
    tried: int | None = None
    """Candidates that were encoded, restored and measured before this one was chosen."""
    refinement: int | None = None
    """Steps by which the LR image was refined for this photo; None for none."""
    lr_channels: int | None = None
    """Planes of the LR image, where they are not the source's: 3 of a grey source that was given a
    colour LR image, 1 where the network hides colours in a grey one."""
    effort: int | None = None
    """Of the codec, in its own scale, where the plan asked for one that is not the default."""
    restorer: str | None = None
    """Id of what improves the decoded picture of a full-size file, or enlarges a small one in place
    of a plain filter; None for nothing. The digest of its weights is `weights_sha256`."""
    made_from: str | None = None
    """What of the source a preview was made from, in words, where that is not all of its picture
    as it is; None for the whole."""
    fitted: FittedFilter | None = None
    """What filters the luma of what is restored, as the last step; None for nothing."""
    schema_version: Literal[1, 2, 3] = SCHEMA_VERSION

    @property
    def is_preview(self) -> bool:
        """Whether nothing is restored from it."""
        return self.psnr_y is None

    @property
    def is_as_stored(self) -> bool:
        """Whether the pixels of the LR file, as they are decoded, are the restoration."""
        return self.is_told_by_pixels and self.fitted is None

    @property
    def is_told_by_pixels(self) -> bool:
        """Whether the decoded pixels decide every level of the restoration, on any machine."""
        return self.rescaler in AS_STORED and self.restorer is None

    @property
    def is_filtered(self) -> bool:
        """Whether the sum with the residual goes through a final filter."""
        return self.residual is not None and bool(self.residual.filtered)

    @property
    def channels(self) -> int:
        """Planes of colour: 1 (grey) or 3."""
        return MODES[self.mode][0]

    @property
    def lr_planes(self) -> int:
        """Planes of the LR image: 1 (grey) or 3."""
        return self.lr_channels or self.channels

    @property
    def strategy(self) -> str:
        """What the kind of candidate that it was is called."""
        return strategy_name(
            self.rescaler,
            self.codec,
            residual=self.residual is not None,
            refined=self.refinement is not None,
            colour=self.lr_channels == 3,
            restorer=self.restorer,
            fitted=self.fitted is not None,
        )

    def to_json(self) -> str:
        """One line of ASCII."""
        document: dict[str, Any] = {"schema_version": self.schema_version}
        document |= {name: getattr(self, name) for name in names_in_order(type(self))}
        policy = self.latent_policy
        document["latent_policy"] = {"kind": policy.kind, "std": policy.std}
        document["extras"] = self.extras.to_json()
        if self.residual is not None:
            document["residual"] = self.residual.to_json()
        if self.fitted is not None:
            document["fitted"] = self.fitted.to_json()
        for measure, value in known(self):
            if value == inf:
                document[measure.name] = "inf"  # JSON has no such number
        document = {name: value for name, value in document.items() if value is not None}
        return json.dumps(document, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> RestorationMetadata:
        """Read what any release wrote.

        Raises:
            MetadataError: It is damaged, or of a version this release cannot read.
        """
        try:
            document = limits.read_json(text)
        except ValueError as error:
            raise MetadataError(f"restoration metadata: not JSON: {error}") from error
        if not isinstance(document, dict):
            raise MetadataError("restoration metadata: not a JSON object")
        version = document.get("schema_version")
        if version not in READ_VERSIONS or isinstance(version, bool):
            raise MetadataError(
                f"restoration metadata of schema version {version}: this release reads versions "
                f"{', '.join(map(str, READ_VERSIONS))}; a newer one is needed"
            )
        return _read(document)

    def to_bytes(self) -> bytes:
        """As it lies in an LR file: compact since version 2, JSON before."""
        text = self.to_json()
        return text.encode("ascii") if self.schema_version == 1 else compact.pack(json.loads(text))

    @classmethod
    def from_bytes(cls, data: bytes) -> RestorationMetadata:
        """Read what any release put into an LR file.

        Raises:
            MetadataError: It is damaged, or of a version this release cannot read.
        """
        if data.startswith(b"{"):
            return cls.from_json(data.decode("ascii", "replace"))
        return _read(compact.unpack(data))


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    **dict.fromkeys(("source_size", "width", "height", "lr_width", "lr_height"), (int,)),
    **dict.fromkeys(("latent_seed", "tile", "overlap"), (int,)),
    **dict.fromkeys(("quality", "tried"), (int, type(None))),
    **dict.fromkeys(("refinement", "lr_channels", "effort"), (int, type(None))),
    **dict.fromkeys(("restorer", "made_from"), (str, type(None))),
    **dict.fromkeys(("source_key", "source_etag", "source_sha256", "mode", "format"), (str,)),
    **dict.fromkeys(("target", "rescaler", "codec", "padding", "software"), (str,)),
    **dict.fromkeys(("weights_sha256",), (str,)),
    **dict.fromkeys(("lr_pixels_sha256", "fingerprint", "origin"), (str, type(None))),
    **dict.fromkeys(("scale",), (float, int)),
    **{
        one.name: (int, type(None)) if one.whole else (float, int, type(None))
        for one in MEASURES.values()
    },
}


def _read(document: dict[str, Any]) -> RestorationMetadata:
    infinite = [
        name for name, one in MEASURES.items() if one.best == inf and document.get(name) == "inf"
    ]
    document = document | dict.fromkeys(infinite, inf)
    values: dict[str, Any] = {}
    for name, types in _TYPES.items():
        value = document.get(name)
        if not isinstance(value, types) or isinstance(value, bool):
            found = "missing" if value is None else f"{value!r:.80}"
            raise MetadataError(f"restoration metadata: {name} is {found}")
        values[name] = value
    if values["mode"] not in MODES:
        raise MetadataError(f"restoration metadata: mode {values['mode']!r} is not known")
    if values["padding"] != "replicate":
        raise MetadataError(f"restoration metadata: padding {values['padding']!r} is not known")
    if values["origin"] not in (None, "restored image"):
        raise MetadataError(f"restoration metadata: origin {values['origin']!r} is not known")
    if values["lr_channels"] not in (None, 1, 3):
        raise MetadataError(f"restoration metadata: lr_channels is {values['lr_channels']}")
    sizes = [values[name] for name in ("width", "height", "lr_width", "lr_height")]
    if min(sizes) < 1 or not 0 < values["scale"] < inf:
        raise MetadataError(f"restoration metadata: impossible sizes {sizes} or scale")
    for hr, lr in zip(sizes[:2], sizes[2:], strict=True):
        if abs(hr / values["scale"] - lr) > 1:
            raise MetadataError(f"restoration metadata: sizes {sizes} are not of that scale")
    policy, extras = document.get("latent_policy"), document.get("extras", {})
    if not isinstance(policy, dict) or not isinstance(extras, dict):
        raise MetadataError("restoration metadata: latent_policy or extras is not an object")
    try:
        values["latent_policy"] = LatentPolicy(policy["kind"], float(policy.get("std", 1.0)))
    except (KeyError, TypeError, ValueError) as error:
        raise MetadataError(f"restoration metadata: latent_policy: {error}") from error
    values["residual"] = residual_of(document.get("residual"))
    if values["residual"] and values["residual"].filtered and values["restorer"] is None:
        raise MetadataError("restoration metadata: residual: filtered, but by no restorer")
    version = document["schema_version"]
    values["fitted"] = fitted_of(document.get("fitted"), values["rescaler"], version)
    record = RestorationMetadata(**values, extras=Carried.from_json(extras), schema_version=version)
    check_record(record)
    return record
