"""The times in S3's answers, read by what is quick about it."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from botocore.utils import parse_timestamp


def parse_time(value: object) -> datetime:
    """A time as S3 writes it, in listings or in headers.

    botocore guesses at the form of each, by which a listing takes more than twice as long.

    Args:
        value: A text; numbers and whatever else there may be are left to botocore.
    """
    if isinstance(value, str):
        try:
            if value.endswith("Z") and "T" in value:
                return datetime.fromisoformat(value)
            if value.endswith(" GMT"):
                return parsedate_to_datetime(value)
        except ValueError:
            pass
    found: datetime = parse_timestamp(value)
    return found
