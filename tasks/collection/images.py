"""Pictures of a folder or bucket as arrays: what training and evaluation read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Final

import fsspec
import numpy as np
from PIL import Image, UnidentifiedImageError

from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U8Array


_SUFFIXES: Final = (".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".avif")


_READERS: Final = 4


def list_images(url: str) -> list[str]:
    """The paths of all images under a folder, sorted, as its file system writes them.

    Raises:
        UsageError: There is no such folder, or no image in it.
    """
    filesystem, root = fsspec.core.url_to_fs(url)
    try:
        found = filesystem.find(root) if filesystem.exists(root) else None
    except (OSError, ImportError) as error:
        raise UsageError(f"{url}: {error}") from error
    if found is None:
        raise UsageError(f"{url}: no such folder")
    images = sorted(path for path in found if path.lower().endswith(_SUFFIXES))
    if not images:
        raise UsageError(f"{url}: no image in it ({', '.join(_SUFFIXES)})")
    return images


def read_images(url: str, paths: list[str]) -> list[U8Array]:
    """Decode images of the folder at `url` to (H, W, 3) RGB, 8 bits.

    Raises:
        UsageError: One of them cannot be read; a training folder is to be sound.
    """
    filesystem, _ = fsspec.core.url_to_fs(url)
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(lambda path: _decode(path, filesystem.cat_file(path)), paths))


def _decode(path: str, data: bytes) -> U8Array:
    try:
        with Image.open(BytesIO(data)) as image:
            return np.asarray(image.convert("RGB")).copy()
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise UsageError(f"{path}: not an image that can be read: {error}") from error
