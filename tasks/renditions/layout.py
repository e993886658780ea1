"""Where things lie in an archive."""

from __future__ import annotations


def rendition_key(target: str, source_key: str, digest: str, extension: str) -> str:
    """Where an LR object lies in an archive: immutable, since named by its own digest."""
    return f"renditions/{target}/{source_key}/{digest[:32]}{extension}"
