"""Networks applied to whole images of any size, tile by tile."""

from rescaling_core.rescale.restoring import restore_pixels
from rescaling_core.rescale.whole import downscale_pixels

__all__ = ["downscale_pixels", "restore_pixels"]
