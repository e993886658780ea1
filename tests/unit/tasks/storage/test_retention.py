"""What is asked of S3 so that nobody removes an object for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rescaling_core.errors import UsageError
from tasks.storage.locks import Lock
from tasks.storage.s3.retention import Retention, parse_retention


def test_a_retention_is_a_mode_and_days() -> None:
    assert parse_retention("GOVERNANCE 90d") == Retention("GOVERNANCE", 90)
    assert parse_retention("COMPLIANCE 36500d") == Retention("COMPLIANCE", 36500)


@pytest.mark.parametrize(
    "text",
    [
        "", "90d", "GOVERNANCE", "governance 90d", "COMPLIANCE 0d", "COMPLIANCE 36501d",
        "COMPLIANCE 1y", "COMPLIANCE 90", "COMPLIANCE 90d\n", "COMPLIANCE -1d",
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_what_is_meant(text: str) -> None:
    with pytest.raises(UsageError, match="GOVERNANCE or COMPLIANCE") as caught:
        parse_retention(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "found", "days_left", "mode"),
    [
        ("GOVERNANCE", None, None, "GOVERNANCE"),
        ("GOVERNANCE", "GOVERNANCE", 44, "GOVERNANCE"),
        ("GOVERNANCE", "GOVERNANCE", -3, "GOVERNANCE"),
        ("COMPLIANCE", "GOVERNANCE", 44, "GOVERNANCE"),
        ("COMPLIANCE", "GOVERNANCE", -3, "COMPLIANCE"),
        ("GOVERNANCE", "COMPLIANCE", 44, "COMPLIANCE"),
        ("GOVERNANCE", "GOVERNANCE", 46, None),
        ("GOVERNANCE", "COMPLIANCE", 400, None),
    ],
)
def test_it_is_renewed_when_less_than_half_is_left_in_the_mode_it_has(
    asked: str, found: str | None, days_left: int | None, mode: str | None
) -> None:
    now = datetime.now(UTC)
    until = None if days_left is None else now + timedelta(days=days_left)
    lock = None if found is None else Lock(until=until, mode=found)
    renewed = Retention(asked, 90).renewed(lock)
    if mode is None:
        assert renewed is None
        return
    assert renewed is not None
    assert renewed["Mode"] == mode
    assert abs(renewed["RetainUntilDate"] - now - timedelta(days=90)) < timedelta(hours=1)


def test_a_legal_hold_alone_leaves_an_object_without_a_retention() -> None:
    lock = Lock(held=True)
    assert lock.stands
    assert Retention("GOVERNANCE", 1).renewed(lock) is not None
    assert not Lock(until=datetime.now(UTC) - timedelta(hours=1), mode="COMPLIANCE").stands
