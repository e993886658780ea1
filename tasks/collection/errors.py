"""What can be wrong with a collection as a whole."""

from __future__ import annotations

from rescaling_core.errors import RefoldError


class EmptiedSourceError(RefoldError):
    """Nothing is listed where there were sources before. Nothing was done."""
