"""A filter fitted to one picture: a few numbers that travel with its file, and no network.

The luma of a picture that comes out of a decoder, or of a network behind it, is filtered towards
the source's: by least squares, when the picture is archived. Everything is in whole numbers, so
that every machine restores the same levels, however the picture is cut.
"""

from rescaling_core.fitted.apply import filtered
from rescaling_core.fitted.fit import fit
from rescaling_core.fitted.record import FittedFilter
from rescaling_core.fitted.seen import REACH

__all__ = ["REACH", "FittedFilter", "filtered", "fit"]
