"""A picture to look at of files that are not archived: what previews of them are made from.

Nothing is restored from it, so it need not hold all of a source: the first of several pages, the
upper bits of deep samples, colours as sRGB has them. It says which of these it is.
"""

from rescaling_core.photo.shown.decode import decode_for_preview, decode_shown, shown_pixels

__all__ = ["decode_for_preview", "decode_shown", "shown_pixels"]
