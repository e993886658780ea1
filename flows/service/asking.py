"""What all requests go through: the key, the id, the row, the conditions of a cache."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Path, Request
from fastapi.responses import Response

from flows.service.errors import PublicError
from flows.service.ids import RenditionId, no_such_image
from flows.service.state import Service, service_of
from rescaling_core.pixels.area import Area
from tasks.catalog import Archived, CatalogRow, Quarantined
from tasks.renditions.archive import Archive

IMMUTABLE: Final = "max-age=31536000, immutable"
CHECKED: Final = "no-cache"
"""Kept, and asked for again with its ETag each time."""
HOURLY: Final = "max-age=3600"

_NUMBERS: Final = re.compile(r"(\d{1,9}),(\d{1,9}),(\d{1,9}),(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Asked:
    """A rendition that a request asks for, and may read."""

    service: Service
    archive: Archive
    id: RenditionId
    row: CatalogRow

    @property
    def etag(self) -> str:
        """Of the LR file."""
        return f'"{self._digest}"'

    def etag_of(self, *parts: object) -> str:
        """Of an answer that is made from the LR file and these parts of the request."""
        text = "\0".join(map(str, (self._digest, *parts)))
        return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'

    @property
    def _digest(self) -> str | None:
        return self.row.lr_sha256 if isinstance(self.row, Archived) else None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image once it is upright; of a preview, of its source."""
        if isinstance(self.row, Quarantined):
            return 0, 0
        return self.row.width or 0, self.row.height or 0

    @property
    def cache_control(self) -> str:
        """For answers that depend on the rendition alone."""
        lasting = IMMUTABLE if self.id.digest else CHECKED
        return f"{self.scope}, {lasting}"

    @property
    def scope(self) -> str:
        """Who may keep an answer."""
        return "public" if self.service.keys.anonymous else "private"


def key_of(request: Request) -> str | None:
    """The API key of a request: `Authorization: Bearer` or `X-API-Key`."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    return request.headers.get("x-api-key")


def require_reader(request: Request, archive: str | None = None) -> Service:
    """The service, for those who may read an archive of it.

    Raises:
        PublicError: The request has no key that opens it (401), or the archive is not served (404).
    """
    service = service_of(request)
    if not service.keys.may_read(key_of(request), archive):
        raise PublicError(
            HTTPStatus.UNAUTHORIZED,
            "Reading needs a key: send it as `Authorization: Bearer KEY`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return service


def archive_of(request: Request, name: str) -> Archive:
    """An archive by its name, for those who may read it.

    Raises:
        PublicError: It is not served (404), or the request has no key that opens it (401).
    """
    service = require_reader(request, name)
    if name not in service.archives:
        raise PublicError(HTTPStatus.NOT_FOUND, "There is no archive of that name here.")
    return service.archives[name]


async def asked_for(
    request: Request,
    id: Annotated[str, Path(description="Id of a rendition, as listings give it.")],
) -> Asked:
    """The rendition that the id in the path names.

    Raises:
        PublicError: There is none (404), or the request may not read it (401).
    """
    found = RenditionId.parse(id)
    archive = archive_of(request, found.archive)
    service = service_of(request)
    row = await service.do(archive.row, found.key, found.target)
    if not found.fits(row):
        raise no_such_image()
    return Asked(service, archive, found, row)


Rendition = Annotated[Asked, Depends(asked_for)]


def parse_region(text: str | None) -> Area | None:
    """`left,top,width,height` in pixels.

    Raises:
        PublicError: It is something else (400).
    """
    if text is None:
        return None
    found = _NUMBERS.fullmatch(text)
    if found is None:
        raise PublicError(
            HTTPStatus.BAD_REQUEST, "region: expected left,top,width,height in whole pixels."
        )
    return Area(*map(int, found.groups()))


def parse_size(text: str | None, width: int, height: int) -> tuple[int, int] | None:
    """`width,height`, or one of them alone (`width,` or `,height`), which keeps the shape.

    Raises:
        PublicError: It is something else (400).
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{0,6}),(\d{0,6})", text)
    if found is None or text == ",":
        raise PublicError(HTTPStatus.BAD_REQUEST, "size: expected width,height or one of them.")
    wide, high = found.groups()
    if wide and high:
        return int(wide), int(high)
    if wide:
        return int(wide), max(1, round(int(wide) * height / width))
    return max(1, round(int(high) * width / height)), int(high)


def check_pixels(service: Service, width: int, height: int) -> None:
    """Refuse to send a larger picture than the operator lets.

    Raises:
        PublicError: It is larger (413).
    """
    if width * height > service.settings.max_pixels:
        raise PublicError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"{width} x {height} pixels are more than the {service.settings.max_pixels} that are "
            "sent at once: ask for a region or a smaller size.",
        )


def not_modified(request: Request, etag: str, headers: dict[str, str]) -> Response | None:
    """The short answer to those who have it already."""
    given = request.headers.get("if-none-match", "")
    if given.strip() == "*" or etag in [one.strip().removeprefix("W/") for one in given.split(",")]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={**headers, "ETag": etag})
    return None
