"""What S3's answers mean."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from rescaling_core.errors import UsageError
from tasks.storage.errors import (
    NotPermittedError,
    ObjectNotFoundError,
    ObjectUnreadableError,
    StorageError,
    UnstorableKeyError,
)

_NOT_FOUND: Final = {"NoSuchKey", "404", "NotFound"}
_DENIED: Final = {"AccessDenied", "403", "Forbidden", "AllAccessDisabled"}
_UNKNOWN_CREDENTIALS: Final = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "AuthorizationHeaderMalformed",
}
_RETRYABLE: Final = {
    "SlowDown",
    "Throttling",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "InternalError",
    "ServiceUnavailable",
    "BadDigest",
    "500",
    "502",
    "503",
    "504",
}

_TRANSIENT: Final = (
    HTTPClientError,
    BotoConnectionError,
    IncompleteReadError,
    ResponseParserError,
)


_COLD: Final = {"InvalidObjectState", "ObjectNotInActiveTierError"}
"""Answers to reading and to copying."""

READING: Final = ("read ", "look up ")
"""How the actions begin that concern one object alone. Their refusal, such as of one encrypted with
a key of its own, says nothing about the others."""


class NoSuchBucketError(StorageError, UsageError):
    """The URL names a bucket that does not exist."""


def translate(error: Exception, what: str, url: str) -> StorageError:
    """Say what failed, where and why, and whether trying again can help.

    Args:
        error: As botocore or s3fs raised it.
        what: The action, such as `read a.png`.
        url: Of the store.
    """
    answer = _answer(error)
    if answer is None:
        if isinstance(error, ParamValidationError):
            return UnstorableKeyError(
                f"{url}: cannot {what}: S3 does not allow such a key or bucket"
            )
        transient = not isinstance(error, BotoCoreError) or isinstance(error, _TRANSIENT)
        reason = _first_line(error)
        if isinstance(error, BotoCoreError) and "onnect" in type(error).__name__:
            reason = f"the server cannot be reached: {reason}"
        return StorageError(f"{url}: cannot {what}: {reason}", retryable=transient)
    code = _code(answer)
    if code == "NoSuchBucket":
        return NoSuchBucketError(f"{url}: there is no such bucket")
    if code in _NOT_FOUND:
        return ObjectNotFoundError(f"{url}: cannot {what}: no such object")
    of_one_object = what.startswith(READING)
    if code in _DENIED:
        kind = ObjectUnreadableError if of_one_object else NotPermittedError
        return kind(f"{url}: cannot {what}: access denied for these credentials")
    if code in _UNKNOWN_CREDENTIALS:
        return StorageError(f"{url}: the server does not accept these credentials ({code})")
    if code == "KeyTooLongError":
        return UnstorableKeyError(f"{url}: cannot {what}: the key is too long")
    message = answer.response.get("Error", {}).get("Message") or "no reason given"
    status = answer.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    reason = f"{url}: cannot {what}: {code}: {message}"
    if code in _RETRYABLE or status >= 500:
        return StorageError(reason, retryable=True)
    return ObjectUnreadableError(reason) if of_one_object else StorageError(reason)


def is_cold(error: StorageError) -> bool:
    """Whether the object lies in a class from which nothing is read."""
    return _code_of(error) in _COLD


def is_beyond(error: StorageError) -> bool:
    """Whether a range was asked for that begins behind the end of the object (416)."""
    return _code_of(error) in {"InvalidRange", "416"}


def is_thawing(error: StorageError) -> bool:
    """Whether a thaw that was asked for is under way already."""
    return _code_of(error) == "RestoreAlreadyInProgress"


def is_precondition(error: StorageError) -> bool:
    """Whether the server refused since the key exists (412)."""
    return _code_of(error) in {"PreconditionFailed", "412"}


def is_invalid(error: StorageError) -> bool:
    """Whether the server refused what was asked for, whoever asks."""
    return _code_of(error) in {"InvalidRequest", "InvalidArgument"}


def is_conflict(error: StorageError) -> bool:
    """Whether another conditional write to the key was in flight (409)."""
    return _code_of(error) in {"ConditionalRequestConflict", "OperationAborted", "409"}


def _code_of(error: StorageError) -> str:
    cause = error.__cause__
    answer = _answer(cause) if isinstance(cause, Exception) else None
    return "" if answer is None else _code(answer)


def _answer(error: Exception) -> ClientError | None:
    """The server's answer: s3fs wraps it once."""
    for candidate in (error, error.__cause__):
        if isinstance(candidate, ClientError):
            return candidate
    return None


def _code(answer: ClientError) -> str:
    return str(answer.response.get("Error", {}).get("Code", ""))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
