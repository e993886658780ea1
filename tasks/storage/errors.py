"""What can go wrong with a store, as few classes that callers tell apart."""

from __future__ import annotations

from rescaling_core.errors import RefoldError, UsageError
from tasks.storage.secrets import masked


class StorageError(RefoldError, OSError):
    """A store refused, failed or could not be reached; the message names URL or key and why."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(masked(message))
        self.retryable = retryable

    def __reduce__(self) -> tuple[object, ...]:
        """Keep `retryable` across process borders."""
        return (type(self), self.args, {"retryable": self.retryable})


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """No object under this key."""


class ObjectUnreadableError(StorageError):
    """This one object cannot be read, though its store answers.

    There is no permission for it, its sector is bad, or it has to be thawed first.
    """


class ObjectColdError(ObjectUnreadableError):
    """This object lies in a class of its store from which nothing is read until it was thawed."""

    def __init__(
        self, message: str, *, url: str = "", key: str = "", thawing: bool = False
    ) -> None:
        super().__init__(message)
        self.url, self.key = url, key
        """Of the store, and of the object in it."""
        self.thawing = thawing
        """Whether somebody has asked for the thaw already, and it is under way."""

    def __reduce__(self) -> tuple[object, ...]:
        """Keep all of it across process borders."""
        return (type(self), self.args, vars(self))


class NotPermittedError(StorageError):
    """These credentials may not do this, though they reach the store."""


class ObjectLockedError(NotPermittedError):
    """A retention or a legal hold keeps this object, whoever asks."""


class ObjectChangedError(StorageError):
    """What lies under the key is not the version that was listed."""


class NothingStoredError(StorageError, UsageError):
    """The bucket is there, but nothing lies under the prefix."""


class UnstorableKeyError(StorageError):
    """The key has no name in this store: it would leave its root or does not fit."""
