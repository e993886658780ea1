"""The optional library of codecs that Pillow has not, or has slower."""

from __future__ import annotations

import importlib
from typing import Any, Final

from rescaling_core.errors import CodecUnavailableError

INSTALL: Final = "pip install 'refold[deep]'"


def imagecodecs() -> Any:
    """The module, untyped as it is.

    Raises:
        CodecUnavailableError: It is not installed.
    """
    try:
        return importlib.import_module("imagecodecs")
    except ImportError as error:
        raise CodecUnavailableError(f"pictures of 16 bits need another codec: {INSTALL}") from error
