"""The storage classes of S3: where objects are put, and what it says of those that are cold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks import settings
from tasks.storage.errors import ObjectColdError


def storage_class_of(key: str) -> dict[str, str]:
    """The storage class that the settings name for a key of a store: the longest prefix counts."""
    told = of_longest_prefix(settings.current().storage_classes, key)
    return {} if told is None else {"StorageClass": told}


def of_longest_prefix(told: Mapping[str, str], key: str) -> str | None:
    """What is told for the longest of the prefixes that a key begins with; None for none."""
    prefixes = [prefix for prefix in told if key.startswith(prefix)]
    return told[max(prefixes, key=len)] if prefixes else None


def class_of(head: Mapping[str, Any]) -> str:
    """The class that an object lies in, by what the store says of it."""
    return str(head.get("StorageClass", "STANDARD"))


def cold_error(url: str, key: str, head: Mapping[str, Any]) -> ObjectColdError:
    """Why an object cannot be read, with what its store says of the class it lies in."""
    thawing = 'ongoing-request="true"' in head.get("Restore", "")
    then = (
        "it is being thawed, which takes hours: try again later"
        if thawing
        else "it has to be thawed first (a restore request), which takes hours"
    )
    where = head.get("ArchiveStatus") or class_of(head)
    message = f"{url}: cannot read {key}: it lies in {where}; {then}"
    return ObjectColdError(message, url=url, key=key, thawing=thawing)


def thaw_request(head: Mapping[str, Any]) -> dict[str, Any]:
    """What the store is asked for: to thaw for as long, and as fast, as the settings say."""
    told = settings.current()
    asked: dict[str, Any] = {"GlacierJobParameters": {"Tier": told.thaw_tier}}
    if "ArchiveStatus" not in head:  # Intelligent-Tiering keeps what it thawed
        asked["Days"] = told.thaw_days
    return asked
