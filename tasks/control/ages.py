"""Ages and grace periods as people write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from rescaling_core.errors import UsageError

MIN_GRACE: Final = timedelta(hours=1)
"""A run writes LR objects before it commits them: its shards must be done within the period."""


_AGE: Final = re.compile(r"([0-9]{1,5})([hdw])")


_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_age(text: str) -> timedelta:
    """Read `36h`, `7d` or `2w`.

    Raises:
        UsageError: It is none of these.
    """
    match = _AGE.fullmatch(text)
    if match is None:
        raise UsageError(f"age {text!r:.80}: expected hours, days or weeks, such as 36h, 7d or 2w")
    return int(match[1]) * _UNITS[match[2]]


def parse_grace(text: str) -> timedelta:
    """As `parse_age`, but not so short that it touches what a run is about to commit.

    Raises:
        UsageError: It is not an age, or it is below an hour.
    """
    grace = parse_age(text)
    if grace < MIN_GRACE:
        raise UsageError(f"--grace {text}: at least 1h, so that no run's work is taken from it")
    return grace
