"""What becomes of an error: one object's outcome, or the end of the step that met it.

One rule for all jobs. What a store says about itself (it fails for a while, it is full, it does not
accept the credentials) is raised, since every other object would meet it too: the step is tried
again, or the run ends. Everything else is about the one object that was worked on. It becomes that
object's outcome, and the others go on. Whatever its bytes made a decoder or a parser raise is of
this second kind, whether anybody foresaw it or not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from rescaling_core.errors import RefoldError
from tasks.storage import (
    ObjectChangedError,
    ObjectNotFoundError,
    ObjectUnreadableError,
    StorageError,
    UnstorableKeyError,
)

Result = TypeVar("Result")

_ABOUT_ONE_OBJECT: Final = (
    ObjectChangedError,
    ObjectNotFoundError,
    ObjectUnreadableError,
    UnstorableKeyError,
)

_MAX_REASON: Final = 300
"""Characters of a reason that no message of ours gave."""

LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing came of one object. A value, so that the other objects go on."""

    reason: str
    """In one line."""
    error_class: str
    """Name of the class of the error."""

    def __str__(self) -> str:
        return f"{self.error_class}: {self.reason}"


def is_transient(error: BaseException) -> bool:
    """Whether trying the same thing again can help."""
    return isinstance(error, StorageError) and error.retryable


def is_about_the_store(error: BaseException) -> bool:
    """Whether the other objects would meet this error too."""
    return isinstance(error, StorageError) and (
        error.retryable or not isinstance(error, _ABOUT_ONE_OBJECT)
    )


def outcome_of(name: str, work: Callable[[], Result]) -> Result | Failure:
    """Do the work for one object; what goes wrong with it comes back as a value.

    This is the one place where a worker catches what nobody foresaw.

    Args:
        name: Of the object, for the log.
        work: Reads, converts, restores or checks this object and no other.

    Raises:
        StorageError: The store failed, so that nothing is known of the object.
    """
    try:
        return work()
    except RefoldError as error:
        if is_about_the_store(error):
            raise
        return Failure(str(error), type(error).__name__)
    except BaseException as error:
        # Native libraries written in Rust panic with a class that is not an Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        LOGGER.error("%s: unexpected %s", name, type(error).__name__, exc_info=error)  # noqa: TRY400
        return Failure(_one_line(error), type(error).__name__)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:_MAX_REASON] or "the error says no more"
