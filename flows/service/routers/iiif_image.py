"""IIIF Image API 3.0, level 2."""

from __future__ import annotations

import json
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response

from flows.service.asking import HOURLY, IMMUTABLE, Asked, Rendition, not_modified
from flows.service.iiif import CONTEXT, PROFILE, info, parse
from flows.service.links import base_url
from flows.service.routers.renditions import PROBLEMS
from flows.service.views import grid_of, picture, upright_size_of
from rescaling_core.photo.served import MEDIA_TYPES

router = APIRouter(prefix="/iiif/3", tags=["IIIF"])

JSON_LD: Final = f'application/ld+json;profile="{CONTEXT}"'


@router.get("/{id}", summary="Leads to info.json", response_class=RedirectResponse)
async def base(asked: Rendition, request: Request) -> Response:
    """303, as the standard says."""
    url = f"{image_url(request, asked)}/info.json"
    return RedirectResponse(url, status_code=HTTPStatus.SEE_OTHER)


@router.get("/{id}/info.json", summary="What there is of an image", responses=PROBLEMS)
async def describe(asked: Rendition, request: Request) -> Response:
    """Its sizes need no network, and its tiles are those that are restored together."""
    opened = await asked.service.do(asked.archive.opened, asked.row)
    document = info(
        image_url(request, asked),
        upright_size_of(opened),
        grid_of(opened),
        asked.service.settings.max_pixels,
    )
    as_ld = "application/ld+json" in request.headers.get("accept", "")
    return Response(
        json.dumps(document),
        media_type=JSON_LD if as_ld else "application/json",
        headers=_headers(asked) | {"Vary": "Accept"},
    )


@router.get(
    "/{id}/{region}/{size}/{rotation}/{last}",
    summary="A region of an image at some size",
    response_class=Response,
    responses={**PROBLEMS, 200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}},
)
async def image(
    asked: Rendition,
    request: Request,
    region: Annotated[str, Path(max_length=100, examples=["0,0,512,512"])],
    size: Annotated[str, Path(max_length=60, examples=["max"])],
    rotation: Annotated[str, Path(max_length=60, examples=["0"])],
    last: Annotated[str, Path(max_length=60, examples=["default.jpg"])],
) -> Response:
    """Restored where the size asks for more than the LR image holds."""
    etag = asked.etag_of("iiif", region, size, rotation, last)
    opened = await asked.service.do(asked.archive.opened, asked.row)
    limit = asked.service.settings.max_pixels
    wanted = parse(region, size, rotation, last, upright_size_of(opened), limit)
    headers = _headers(asked)
    if (known := not_modified(request, etag, headers)) is not None:
        return known
    data = await asked.service.make(partial(picture, asked, wanted))
    return Response(
        data,
        media_type=MEDIA_TYPES[wanted.format],
        headers=headers | {"ETag": etag, "X-Content-Type-Options": "nosniff"},
    )


def image_url(request: Request, asked: Asked) -> str:
    """URL of an image by the id that it was asked for by."""
    name = asked.id.exact if asked.id.digest else asked.id.lasting
    return f"{base_url(request)}/iiif/3/{name}"


def _headers(asked: Asked) -> dict[str, str]:
    lasting = IMMUTABLE if asked.id.digest else HOURLY
    return {
        "Link": f'<{PROFILE}>;rel="profile"',
        "Cache-Control": f"{asked.scope}, {lasting}",
    }
