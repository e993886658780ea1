"""The exit codes of every command. docs/operations.md has them as a table."""

from __future__ import annotations

from enum import IntEnum

from rescaling_core.errors import RefoldError, UsageError
from tasks.collection.errors import EmptiedSourceError


class Exit(IntEnum):
    """What the exit code of a command says about its work."""

    DONE = 0
    """All that was asked for is done."""
    FAILED = 1
    """The work was not done, or something was found damaged."""
    USAGE = 2
    """The request itself is wrong; nothing was started."""
    QUARANTINE = 3
    """Done, with sources in quarantine."""
    EMPTIED = 4
    """The collection lists nothing though the archive holds sources of it; nothing was done."""
    COLD = 5
    """Done, but for objects that lie in a cold class of their store and have to be thawed first, or
    are being thawed. The same command goes on with them later."""
    HANGUP = 129
    """Ended by SIGHUP. What was committed until then counts."""
    INTERRUPTED = 130
    """Ended by Ctrl-C (SIGINT), likewise."""
    TERMINATED = 143
    """Ended by SIGTERM, likewise."""


def exit_of(error: BaseException) -> Exit:
    """The exit code of a command that an error ended."""
    if isinstance(error, EmptiedSourceError):
        return Exit.EMPTIED
    return Exit.USAGE if isinstance(error, UsageError) else Exit.FAILED


def is_expected(error: BaseException) -> bool:
    """Whether the error's text is made for users; everything else is a bug of ours."""
    return isinstance(error, RefoldError | OSError)
