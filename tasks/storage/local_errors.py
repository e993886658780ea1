"""What the operating system says about a file, in the words that every store uses."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tasks.storage.beneath import LinkInTheWayError
from tasks.storage.errors import (
    NotPermittedError,
    ObjectNotFoundError,
    ObjectUnreadableError,
    StorageError,
    UnstorableKeyError,
)

NOT_THERE: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""Errors that say that there is no file of this name."""

_OF_THIS_PROCESS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors that say nothing about the file that was to be read."""


@contextmanager
def reading(url: str, key: str) -> Iterator[None]:
    """Turn the system's errors into ours while a file is read.

    Args:
        url: Of the store.
        key: Of the object.

    Raises:
        ObjectNotFoundError: There is no such file.
        ObjectUnreadableError: There is one, but it cannot be read.
        StorageError: This process cannot read files just now.
    """
    try:
        yield
    except StorageError:
        raise
    except NOT_THERE:
        raise ObjectNotFoundError(f"{url}: no object {key}") from None
    except LinkInTheWayError as error:
        raise ObjectNotFoundError(f"{url}: no object {key}: {error.strerror}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.ENAMETOOLONG:
            raise ObjectNotFoundError(f"{url}: no object {key}") from error
        if error.errno in _OF_THIS_PROCESS:
            raise StorageError(f"{url}: cannot read {key}: {reason}") from error
        raise ObjectUnreadableError(f"{url}: {key} cannot be read: {reason}") from error


@contextmanager
def writing(url: str, verb: str, key: str) -> Iterator[None]:
    """Turn the system's errors into ours while a file is written or deleted.

    Args:
        url: Of the store.
        verb: What is done to the file, for the message: write, delete, remove.
        key: Of the object.

    Raises:
        UnstorableKeyError: No file can have this name.
        NotPermittedError: This user may not.
        StorageError: It was not done.
    """
    what = f"cannot {verb} {key}" + (f" to {url}" if verb == "write" else "")
    try:
        yield
    except StorageError:
        raise
    except LinkInTheWayError as error:
        raise UnstorableKeyError(f"{what}: {error.strerror}") from error
    except (NotADirectoryError, FileExistsError) as error:
        raise StorageError(f"{what}: a file lies where a folder should be") from error
    except PermissionError as error:
        raise NotPermittedError(f"{what}: {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UnstorableKeyError(f"{what}: its path is too long for a file") from error
        raise StorageError(f"{what}: {error.strerror or error}") from error
