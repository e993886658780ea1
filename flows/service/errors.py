"""Errors as clients see them: one public sentence with an id; the details go to the log."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from flows.service.state import service_of
from rescaling_core.errors import (
    CheckpointError,
    CodecError,
    CodecUnavailableError,
    ImageTooLargeError,
    MetadataError,
    PhotoError,
    RefoldError,
    RestorationMismatchError,
    UsageError,
    WeightsNotFoundError,
)
from tasks.renditions.archive import NotInArchiveError
from tasks.storage import ObjectColdError, ObjectNotFoundError, StorageError

logger: Final = logging.getLogger("refold.serve")

_DAMAGED: Final[tuple[tuple[type[RefoldError], str, str], ...]] = (
    (ObjectNotFoundError, "missing", "its LR file is missing from the archive"),
    (WeightsNotFoundError, "network", "the network that restores it is missing from the archive"),
    (CodecUnavailableError, "codec", "a codec that it needs is not installed here"),
    (CheckpointError, "network", "the network that restores it is damaged"),
    (MetadataError, "metadata", "its restoration metadata cannot be read"),
    (RestorationMismatchError, "mismatch", "it is not what was measured when it was archived"),
    (CodecError, "pixels", "its pixels cannot be decoded"),
    (PhotoError, "pixels", "its pixels cannot be decoded"),
)
"""Class → the reason as a label, and in words."""


class PublicError(Exception):
    """An answer other than what was asked for, whose sentence anybody may read."""

    def __init__(
        self, status: int, sentence: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})


def install(app: FastAPI) -> None:
    """Let the application answer with public errors."""

    @app.exception_handler(PublicError)
    async def public(request: Request, error: PublicError) -> JSONResponse:
        return answer(request, error.status, error.sentence, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        sentence = f"{name:.60}: {first['msg']:.200}"
        return answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, sentence)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return answer(request, error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RefoldError)
    async def expected(request: Request, error: RefoldError) -> JSONResponse:
        public = _public(request, error)
        return answer(request, public.status, public.sentence, public.headers, error)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        sentence = "Something went wrong here that should not; the log has it under this id."
        return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, sentence, error=error)


def _public(request: Request, error: RefoldError) -> PublicError:
    if isinstance(error, NotInArchiveError):
        return PublicError(HTTPStatus.NOT_FOUND, "There is no such image in the archive.")
    if isinstance(error, ImageTooLargeError):
        return PublicError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The image is too large.")
    if isinstance(error, ObjectColdError):
        then = "It is being thawed" if error.thawing else "It has to be thawed first"
        return PublicError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"This image lies in a cold class of the archive's storage. {then}, for hours.",
            headers={"Retry-After": "3600"},
        )
    for kind, label, reason in _DAMAGED:
        if isinstance(error, kind):
            service_of(request).metrics.damaged.labels(label).inc()
            return PublicError(
                HTTPStatus.BAD_GATEWAY, f"This rendition cannot be restored: {reason}."
            )
    if isinstance(error, StorageError):
        return PublicError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The archive's storage does not answer; try again.",
            headers={"Retry-After": "5"},
        )
    if isinstance(error, UsageError):  # last: some of the classes above are of this kind too
        return PublicError(HTTPStatus.BAD_REQUEST, f"{error}".strip()[:300])
    return PublicError(HTTPStatus.BAD_GATEWAY, "This rendition cannot be restored.")


def answer(
    request: Request,
    status: int,
    sentence: str,
    headers: Mapping[str, str] | None = None,
    error: Exception | None = None,
) -> JSONResponse:
    """An answer that says what is wrong; what a server may want to know goes to the log."""
    number = uuid.uuid4().hex[:12]
    if error is not None:
        bug = error if status == HTTPStatus.INTERNAL_SERVER_ERROR else None
        logger.warning(
            "%s %s %s: %d: %s: %s",
            number, request.method, request.url.path, status, type(error).__name__, error,
            exc_info=bug,
        )  # fmt: skip
    body = {"error": {"id": number, "status": int(status), "message": sentence}}
    return JSONResponse(
        body, status_code=status, headers={**(headers or {}), "Cache-Control": "no-store"}
    )
