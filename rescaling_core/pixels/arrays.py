"""The array types that cross the modules of the core."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U8Array = npt.NDArray[np.uint8]
"""Pixels: (H, W, C) or (H, W), 0-255."""

U16Array = npt.NDArray[np.uint16]
"""Samples of deep pictures: (H, W, C) or (H, W), 0-65535, in the machine's own byte order."""
