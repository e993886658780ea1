"""The errors Refold raises on purpose. Everything else that is raised is a bug.

An error about a user's object or setting derives from `RefoldError` and from the builtin a
caller would catch. Its message names the object and the reason, in one line.
"""

from __future__ import annotations


class RefoldError(Exception):
    """Base of every deliberate error."""

    retryable: bool = False
    """Whether trying the same thing again can help."""


class UsageError(RefoldError, ValueError):
    """The request itself is wrong: a bad plan, target, rescaler id, URL. Nothing was started."""


class PhotoError(RefoldError, ValueError):
    """Base of what can be wrong with a source's bytes."""


class UnreadableImageError(PhotoError):
    """Empty, truncated, damaged, or not an image: the source goes to quarantine."""


class ImageTooLargeError(PhotoError):
    """More pixels than the plan allows (decompression bomb): the source goes to quarantine."""


class UnsupportedImageError(PhotoError):
    """A sound image that 8-bit RGB networks cannot carry: the source is kept as it is."""


class CodecUnavailableError(UsageError):
    """The codec's library is not installed; the message says what to install."""


class CodecError(RefoldError, ValueError):
    """A codec could not encode or decode these pixels or bytes."""


class CheckpointError(RefoldError, ValueError):
    """Weights that cannot be loaded: wrong family, wrong scale, truncated, or pickled code."""


class WeightsNotFoundError(RefoldError, LookupError):
    """The weights that a rendition was made with are in none of the places looked in."""


class MetadataError(RefoldError, ValueError):
    """Restoration metadata that is missing, damaged, or of a version this release cannot read."""


class RestorationMismatchError(RefoldError):
    """A restoration does not agree with what was recorded when the source was archived."""


class NotGivenBackError(RefoldError):
    """A restored file would not give back all that its source carried; the message says what."""
