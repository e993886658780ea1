"""Where jobs write what they do: the log of the Prefect run they are part of, if there is one."""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import Any

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

Log = logging.Logger | logging.LoggerAdapter[Any]


def run_log() -> Log:
    """The log of the flow or task that is running, else the standard logger `refold`."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("refold")


def words_of(record: Any) -> str:
    """The fields of a dataclass as `name=value`, those without a value left out."""
    values = {one.name: getattr(record, one.name) for one in fields(record)}
    return " ".join(f"{name}={value}" for name, value in values.items() if value not in ("", None))
