"""Files that clients send: read within bounds of bytes, parts and time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from flows.service.errors import PublicError
from flows.service.links import base_url

FORM_BYTES: Final = 64 * 1024
"""Of a form beside its file."""
_FIELDS: Final = 16
_FIELD_BYTES: Final = 1024


class _InMemory(MultiPartParser):
    """What is uploaded never reaches a disk."""

    spool_max_size = 2**31


@dataclass(frozen=True, slots=True)
class Upload:
    """A form with one file."""

    data: bytes
    name: str
    """The last part of what the client called the file, without anything that is not printed."""
    fields: Mapping[str, str]


async def read_upload(request: Request, *, most: int, seconds: float) -> Upload:
    """Read a form with a file called `photo`.

    That the whole is not longer than it says, and says how long it is, was looked at before.

    Args:
        request: The request.
        most: Bytes of the file.
        seconds: For which the client may take to send it.

    Raises:
        PublicError: It is not such a form (400), too large (413), or too slow (408).
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise PublicError(HTTPStatus.BAD_REQUEST, "Expected a form with a file (multipart).")
    parser = _InMemory(
        request.headers, request.stream(), max_files=1, max_fields=_FIELDS,
        max_part_size=_FIELD_BYTES,
    )  # fmt: skip
    try:
        async with asyncio.timeout(seconds):
            form = await parser.parse()
    except MultiPartException as error:
        raise PublicError(
            HTTPStatus.BAD_REQUEST, f"The form cannot be read: {error.message:.100}"
        ) from error
    except TimeoutError as error:
        raise PublicError(HTTPStatus.REQUEST_TIMEOUT, "The file came too slowly.") from error
    file = form.get("photo")
    if not isinstance(file, UploadFile):
        raise PublicError(HTTPStatus.BAD_REQUEST, "photo: choose a file.")
    data = await file.read(most + 1)
    await file.close()
    if len(data) > most:
        raise PublicError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"photo: more than the {most} bytes that it may."
        )
    if not data:
        raise PublicError(HTTPStatus.BAD_REQUEST, "photo: choose a file; this one is empty.")
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    return Upload(data, _shown(file.filename or ""), fields)


def refuse_other_sites(request: Request) -> None:
    """Let no page elsewhere make a browser send something here in its user's name.

    Raises:
        PublicError: The request comes from a page of another site (403).
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    here = urlsplit(base_url(request))
    same = origin in (None, f"{here.scheme}://{here.netloc}")
    if site in ("same-origin", "none") if site else same:
        return
    raise PublicError(
        HTTPStatus.FORBIDDEN,
        "This came from a page of another site. Where it did not, the service does not know its "
        "own address: its operator sets REFOLD_SERVE_BASE_URL.",
    )


def _shown(name: str) -> str:
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:100] or "photo"
