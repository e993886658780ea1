"""Times in S3's answers mean what botocore takes them for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.utils import parse_timestamp

from tasks.storage.s3 import times


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-27T16:05:09.000Z",
        "2026-11-27T16:05:09.123456Z",
        "2026-11-27T16:05:09Z",
        "Fri, 27 Nov 2026 16:05:09 GMT",
        "2026-11-27T16:05:09+01:00",
        "2026-11-27T16:05:09",
        "Fri Nov 27 16:05:09 2026",
        "1764259509",
        1764259509,
        1764259509.5,
        "20261127T160509Z",
    ],
)
def test_a_time_is_what_botocore_takes_it_for(value: object) -> None:
    found, expected = times.parse_time(value), parse_timestamp(value)
    assert (found, found.utcoffset()) == (expected, expected.utcoffset())


@pytest.mark.parametrize("value", ["soon", "Z", "TZ", "never GMT", "2026-13-45T00:00:00Z", ""])
def test_what_is_no_time_is_refused_as_botocore_refuses_it(value: str) -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        times.parse_time(value)


def test_the_usual_forms_are_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def guess(value: Any) -> datetime:
        raise AssertionError(f"{value} was left to botocore")

    monkeypatch.setattr(times, "parse_timestamp", guess)
    when = datetime(2026, 11, 27, 16, 5, 9, tzinfo=UTC)
    assert times.parse_time("2026-11-27T16:05:09.000Z") == when
    assert times.parse_time("Fri, 27 Nov 2026 16:05:09 GMT") == when
