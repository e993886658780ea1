"""How Prefect tells of errors that Refold raises on purpose: in one line, without a traceback."""

from __future__ import annotations

import logging
from typing import Final

from rescaling_core.errors import RefoldError

_LOGGERS: Final = ("prefect.flow_runs", "prefect.task_runs", "prefect.flow_engine")


class _DeliberateErrors(logging.Filter):
    """Drops the record that shows a deliberate error with its traceback.

    The next record says that the run failed, and by what, in one line.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], RefoldError))


def tell_deliberate_errors_once() -> None:
    """Set it up for this process. Prefect itself need not be imported yet."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _DeliberateErrors) for one in logger.filters):
            logger.addFilter(_DeliberateErrors())
