"""Renditions: found, described, given as they are stored, and restored."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from flows.service.asking import (
    Asked,
    Rendition,
    archive_of,
    check_pixels,
    not_modified,
    parse_region,
    parse_size,
)
from flows.service.described import Described, Failed, Listed, described
from flows.service.errors import PublicError
from flows.service.ranges import ranged
from flows.service.state import service_of
from rescaling_core import codecs
from rescaling_core.photo.served import MEDIA_TYPES, ServedFormat, encode_served
from rescaling_core.pixels.area import Area
from tasks.catalog.paging import MOST_ROWS, Position, Search
from tasks.renditions.remembered import NotKeptError

router = APIRouter(prefix="/v1/renditions", tags=["renditions"])

_TEXT: Final = 1024
"""Characters of a text to search for, at most."""

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Failed, "description": text}
    for status, text in {
        400: "The request makes no sense.",
        401: "Reading needs a key.",
        404: "There is no such image.",
        413: "The picture is larger than what is sent at once.",
        422: "A parameter has a value that it cannot have.",
        429: "Too many requests are under way; Retry-After says when to come again.",
        502: "The rendition is damaged.",
        503: "Storage does not answer, or it took too long.",
    }.items()
}


@router.get("", summary="Search", responses=PROBLEMS)
async def search(
    request: Request,
    archive: Annotated[
        str | None, Query(description="Name of the archive; by default the first.", max_length=200)
    ] = None,
    prefix: Annotated[
        str | None, Query(description="How the source key begins.", max_length=_TEXT)
    ] = None,
    glob: Annotated[
        str | None,
        Query(description="Pattern of the whole source key: `*` and `?`.", max_length=_TEXT),
    ] = None,
    state: Literal["archived", "kept", "quarantined"] | None = None,
    target: Annotated[str | None, Query(max_length=100, examples=["x2"])] = None,
    psnr_min: Annotated[float | None, Query(description="dB.", ge=0, le=1000)] = None,
    psnr_max: Annotated[float | None, Query(description="dB.", ge=0, le=1000)] = None,
    cursor: Annotated[
        str | None, Query(description="`next` of the page before.", max_length=4 * _TEXT)
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
) -> Listed:
    """Renditions by source key, page by page.

    Every page takes the same time, however many lie before it.
    """
    service = service_of(request)
    name = archive or next(iter(service.archives))
    found = archive_of(request, name)
    after = None if cursor is None else Position.parse(cursor)
    asked = Search(
        prefix=prefix, glob=glob, state=state, target=target, psnr_min=psnr_min, psnr_max=psnr_max
    )
    page = await service.do(found.page, asked, after, limit)
    return Listed(
        renditions=[described(name, row) for row in page.rows],
        next=page.next.cursor() if page.next else None,
    )


@router.get("/{id}", summary="What is known of one", responses=PROBLEMS)
async def one(asked: Rendition) -> Described:
    """All that the catalog says of it, in words that a page can show."""
    return described(asked.id.archive, asked.row)


@router.get(
    "/{id}/lr",
    summary="The stored LR file",
    response_class=Response,
    responses={**PROBLEMS, 200: {"content": {"image/*": {}}}, 206: {}, 304: {}, 416: {}},
)
async def lr(request: Request, asked: Rendition) -> Response:
    """Byte for byte; its ETag is its SHA-256. With a digest in the id it never changes."""
    headers = {"Cache-Control": asked.cache_control, "Accept-Ranges": "bytes"}
    if (known := not_modified(request, asked.etag, headers)) is not None:
        return known
    data = await asked.service.do(asked.archive.lr_file, asked.row)
    codec = codecs.codec_of(data)
    kind = "application/octet-stream" if codec is None else codec.media_type
    headers |= {"ETag": asked.etag, "X-Content-Type-Options": "nosniff"}
    return ranged(request, data, kind, headers)


@router.get(
    "/{id}/hr",
    summary="The restored image, or a region of it",
    response_class=Response,
    responses={**PROBLEMS, 200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}, 304: {}},
)
async def hr(
    request: Request,
    asked: Rendition,
    format: Annotated[
        ServedFormat | None, Query(description="By default what `Accept` prefers, else png.")
    ] = None,
    region: Annotated[
        str | None,
        Query(description="left,top,width,height in pixels as stored.", examples=["0,0,512,512"]),
    ] = None,
    size: Annotated[
        str | None,
        Query(description="width,height or one of them alone.", examples=["1024,"]),
    ] = None,
) -> Response:
    """Restored now, from the tiles that it needs. PNG is exact; the others are lossy.

    A whole image as PNG is checked against all that was measured. Of a region the LR pixels, the
    network's weights and the residual are.
    """
    chosen = format or preferred(request.headers.get("accept", ""))
    area = parse_region(region)
    width, height = (area.width, area.height) if area else asked.size
    if width < 1 or height < 1:
        raise PublicError(HTTPStatus.BAD_REQUEST, "region: it has no pixels.")
    wanted = parse_size(size, width, height)
    check_pixels(asked.service, *(wanted or (width, height)))
    if wanted is not None:  # a larger region is restored to make a small picture
        check_pixels(asked.service, width // 2, height // 2)
    etag = asked.etag_of("hr", region, size, chosen)
    headers = {"Cache-Control": asked.cache_control, "Vary": "Accept"}
    if (known := not_modified(request, etag, headers)) is not None:
        return known
    data = await asked.service.make(partial(_restored, asked, area, wanted, chosen))
    return Response(
        data,
        media_type=MEDIA_TYPES[chosen],
        headers={**headers, "ETag": etag, "X-Content-Type-Options": "nosniff"},
    )


def preferred(accept: str) -> ServedFormat:
    """The format that an `Accept` header names first; PNG where it names none of them."""
    weighed: list[tuple[float, int, ServedFormat]] = []
    for place, part in enumerate(accept.split(",")[:32]):
        kind, _, rest = part.partition(";")
        try:
            weight = float(rest.partition("q=")[2] or 1)
        except ValueError:
            weight = 0.0
        for name, media in MEDIA_TYPES.items():
            if kind.strip().lower() == media and weight > 0:
                weighed.append((-weight, place, name))
    return min(weighed)[2] if weighed else "png"


def _restored(
    asked: Asked,
    area: Area | None,
    size: tuple[int, int] | None,
    format: ServedFormat,
    kept_only: bool,
) -> bytes:
    if area is not None or size is not None:
        photo = asked.archive.view(asked.row, area, size, kept_only=kept_only)
    elif kept_only:
        raise NotKeptError("a whole image is restored anew, since it is checked as a whole")
    else:
        photo = asked.archive.restored(asked.row)
    asked.service.metrics.pixels.inc(photo.width * photo.height)
    return encode_served(photo, format)
