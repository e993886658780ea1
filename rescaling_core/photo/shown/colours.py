"""Colours of any kind as sRGB has them."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageCms

from rescaling_core.containers import isobmff, png
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.shown.high_range import NAMES, HighRange, peak_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SRGB: Final = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of white, red, green and blue."""
_PRIMARIES: Final = {
    1: _SRGB,
    2: _SRGB,
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""By ITU-T H.273: BT.709, unspecified, BT.2020, DCI P3, Display P3."""
_GAMMAS: Final = {1: None, 2: None, 6: None, 13: None, 14: None, 15: None, 4: 2.2, 5: 2.8, 8: 1.0}
"""By ITU-T H.273; None: sRGB's own curve, which viewers take for those of BT.601 to BT.2020 too."""
_BRADFORD: Final = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50: Final = np.array([0.9642, 1.0, 0.8249])
_FIXED: Final = 65_536


def to_srgb(
    image: Image.Image, profile: bytes | HighRange | None
) -> tuple[Image.Image, str | None]:
    """Convert an image of 8-bit samples without alpha.

    Args:
        image: Of mode L, RGB, CMYK, LAB, YCbCr or HSV.
        profile: What its colours mean; None for what viewers take them for.

    Returns:
        An image of mode L or RGB, and what was done in words; None for nothing.
    """
    kind = {"LAB": "Lab"}.get(image.mode, image.mode)
    if image.mode == "LAB":  # Lab is absolute: a profile beside it says no more
        return _converted(image, ImageCms.createProfile("LAB")), "Lab converted to sRGB"
    if isinstance(profile, HighRange):
        what = f"a high dynamic range ({NAMES[profile.transfer]}, {profile.peak:g} nits)"
        return profile.shown(image), f"{what} as a usual screen shows it"
    if profile is not None:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return _converted(image, source), f"{kind} through its profile to sRGB"
        except (ImageCms.PyCMSError, OSError, ValueError):
            note = f"{kind}, whose profile does not fit, as if it had none"
            return _plain(image), note
    return _plain(image), None if image.mode in ("L", "RGB") else f"{kind} without a profile"


def _converted(image: Image.Image, source: object) -> Image.Image:
    found = ImageCms.profileToProfile(
        image,
        source,  # type: ignore[arg-type] # of a profile, either class of Pillow's will do
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.PERCEPTUAL,
        outputMode="RGB",
    )
    if found is None:
        raise ValueError("the profile gave no image")
    return found


def _plain(image: Image.Image) -> Image.Image:
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def profile_of_png(data: bytes) -> bytes | HighRange | None:
    """A profile for colours that a PNG states by numbers: `cICP`, `gAMA`, `cHRM`.

    Returns:
        None where they are sRGB's, or nothing is stated.

    Raises:
        UnsupportedImageError: They are not known.
        ValueError: The chunks are damaged.
    """
    held = {kind: data[at : at + length] for kind, at, length in png.walk(data)}
    points = held.get(b"cICP", b"")
    if len(points) == 4:
        light = {name.lower(): held[name] for name in (b"cLLI", b"mDCV") if name in held}
        return _of_code_points(points[0], points[1], peak_of(light, 4))
    if b"iCCP" in held or b"sRGB" in held:
        return None
    gamma, primaries = held.get(b"gAMA", b""), held.get(b"cHRM", b"")
    if len(gamma) != 4 and len(primaries) != 32:
        return None
    exponent = int.from_bytes(gamma, "big") / 100_000 if len(gamma) == 4 else 0.0
    is_usual = exponent == 0 or abs(exponent - 1 / 2.2) < 0.005
    places: Sequence[float] = _SRGB
    if len(primaries) == 32:
        places = [value / 100_000 for value in struct.unpack(">8I", primaries)]
    return _matrix_profile(places, None if is_usual else 1 / exponent)


def profile_of_boxes(data: bytes) -> bytes | HighRange | None:
    """The same for an AVIF or HEIC, by the profile or the code points of its container.

    Raises:
        UnsupportedImageError, ValueError: As above.
    """
    meta = isobmff.read_meta(data)
    if meta.primary not in meta.items:
        return None
    properties = meta.items[meta.primary].properties
    for kind, content in properties:
        if kind == b"colr" and content[:4] in (b"prof", b"rICC"):
            return content[4:] or None
    for kind, content in properties:
        if kind == b"colr" and content[:4] == b"nclx" and len(content) >= 8:
            primaries, transfer = struct.unpack_from(">HH", content, 4)
            return _of_code_points(primaries, transfer, peak_of(dict(properties), 2))
    return None


def profile_of_numbers(
    white: Sequence[float] | None, primaries: Sequence[float] | None
) -> bytes | None:
    """The same for a TIFF, by its tags; None where it states neither."""
    if white is None and primaries is None:
        return None
    return _matrix_profile([*(white or _SRGB[:2]), *(primaries or _SRGB[2:])], None)


def _of_code_points(primaries: int, transfer: int, peak: float) -> bytes | HighRange | None:
    if primaries not in _PRIMARIES or transfer not in (*_GAMMAS, *NAMES):
        raise UnsupportedImageError(
            f"colours stated by code points ({primaries}, {transfer}) that are not known here"
        )
    places = _PRIMARIES[primaries]
    if transfer in NAMES:
        wide = _columns(_PRIMARIES[9])
        to_srgb = np.linalg.inv(_columns(_SRGB)) @ wide
        return HighRange(transfer, np.linalg.inv(wide) @ _columns(places), to_srgb, peak)
    return _matrix_profile(places, _GAMMAS[transfer])


def _columns(places: Sequence[float]) -> NDArray[np.float64]:
    """XYZ of red, green and blue, adapted to D50, as the columns of a matrix.

    Args:
        places: x and y of white, red, green and blue.

    Raises:
        UnsupportedImageError: There is no such colour space.
    """
    x, y = np.array(places[::2], float), np.array(places[1::2], float)
    if not (np.abs(y) > 1e-6).all():
        raise UnsupportedImageError("colours by primaries that make no sense")
    xyz = np.stack((x / y, np.ones(4), (1 - x - y) / y))
    try:
        amounts = np.linalg.solve(xyz[:, 1:], xyz[:, 0])
    except np.linalg.LinAlgError as error:
        raise UnsupportedImageError("colours by primaries on a line") from error
    scaling = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ xyz[:, 0]))
    adapted = np.linalg.inv(_BRADFORD) @ scaling @ _BRADFORD @ (xyz[:, 1:] * amounts)
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 4:
        raise UnsupportedImageError("colours by primaries that make no sense")
    return np.asarray(adapted)


def _matrix_profile(places: Sequence[float], gamma: float | None) -> bytes | None:
    """An ICC profile of primaries: sRGB's own with others in their place.

    Args:
        places: x and y of white, red, green and blue.
        gamma: Of the curve; None for sRGB's.

    Returns:
        None where it would say sRGB.

    Raises:
        UnsupportedImageError: There is no such colour space.
    """
    if gamma is None and np.abs(np.subtract(places, _SRGB)).max() < 0.003:
        return None
    if gamma is not None and not 0.05 < gamma < 20:
        raise UnsupportedImageError("colours by a gamma that makes no sense")
    adapted = _columns(places)
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), adapted.T, strict=True))
    for i in range(int.from_bytes(profile[128:132], "big")):
        tag, at, _ = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        if tag in columns:
            struct.pack_into(">3i", profile, at + 8, *(columns[tag] * _FIXED).round().astype(int))
        if gamma is not None and tag in (b"rTRC", b"gTRC", b"bTRC"):
            struct.pack_into(">4sLLH", profile, at, b"curv", 0, 1, round(gamma * 256))
    return bytes(profile)
