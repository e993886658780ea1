"""The arithmetic in which a network restores."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""What the numbers of a network's convolutions are. Renditions are made, and measured, in float32.
bfloat16 keeps 8 of its 24 bits: processors with instructions for it take half the time, and what is
restored may differ by a level. It counts for restoring alone, on such processors, with OpenVINO."""
