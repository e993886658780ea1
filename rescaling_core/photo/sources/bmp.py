"""What BMP holds that Pillow does not tell: a fourth byte per pixel that may be alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rescaling_core.errors import UnsupportedImageError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile


def check(image: ImageFile, data: bytes) -> None:
    """Refuse a 32-bit BMP without an alpha mask whose fourth bytes are in use all the same.

    Raises:
        UnsupportedImageError: They are.
    """
    if image.mode == "RGB" and int.from_bytes(data[28:30], "little") == 32:
        start = int.from_bytes(data[10:14], "little")
        if set(data[start + 3 : start + 4 * image.width * image.height : 4]) - {0, 255}:
            raise UnsupportedImageError("a fourth channel that may be alpha: it would be lost")
