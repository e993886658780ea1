"""IIIF Presentation API 3.0: manifests of images that share the beginning of their key."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from flows.service.asking import archive_of
from flows.service.errors import PublicError
from flows.service.ids import RenditionId
from flows.service.links import base_url
from flows.service.routers.renditions import PROBLEMS
from flows.service.state import service_of
from rescaling_core.errors import RefoldError
from rescaling_core.plan import DEEP, PACKED, REPACK
from rescaling_core.plan.strategy import strategy_name
from tasks.catalog import Archived
from tasks.catalog.history import can_be_restored, restoration_rank
from tasks.catalog.paging import MOST_ROWS, Position, Search
from tasks.renditions.archive import Archive

router = APIRouter(prefix="/iiif/presentation/3", tags=["IIIF"])

CONTEXT: Final = "http://iiif.io/api/presentation/3/context.json"

Prefix = Annotated[str, Query(description="How the source keys begin.", max_length=1024)]


@router.get("/{archive}/manifest.json", summary="Images as one object", responses=PROBLEMS)
async def manifest(archive: str, request: Request, prefix: Prefix = "") -> JSONResponse:
    """All restorable images whose key begins so, each labelled as reconstructed.

    There are as many canvases as the operator allows; the summary says if there are more images.
    """
    found = archive_of(request, archive)
    service = service_of(request)
    rows, more = await service.do(_rows, found, prefix, service.settings.max_canvases)
    sizes = await service.do(_sizes, found, rows)
    if not rows:
        raise PublicError(HTTPStatus.NOT_FOUND, "No image of the archive has such a key.")
    base = base_url(request)
    url = f"{base}/iiif/presentation/3/{archive}/manifest.json?{urlencode({'prefix': prefix})}"
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "id": url,
        "type": "Manifest",
        "label": _text(f"{archive}: {prefix}" if prefix else archive),
        "summary": _text(
            "Images restored from smaller ones; each says how near to its source it was measured."
            + (" There are more of them: ask for a longer prefix." if more else "")
        ),
        "items": [_canvas(base, archive, row, size) for row, size in zip(rows, sizes, strict=True)],
    }
    return JSONResponse(document, headers={"Cache-Control": "no-cache"})


@router.get("/{archive}/collection.json", summary="Folders of an archive", responses=PROBLEMS)
async def collection(archive: str, request: Request, prefix: Prefix = "") -> JSONResponse:
    """The folders right below a prefix, each a collection, and a manifest of what lies in it."""
    found = archive_of(request, archive)
    folders = await service_of(request).do(found.catalog.folders, prefix)
    base = f"{base_url(request)}/iiif/presentation/3/{archive}"
    items: list[dict[str, Any]] = [
        {
            "id": f"{base}/collection.json?{urlencode({'prefix': folder})}",
            "type": "Collection",
            "label": _text(folder),
        }
        for folder in folders
    ]
    items.append(
        {
            "id": f"{base}/manifest.json?{urlencode({'prefix': prefix})}",
            "type": "Manifest",
            "label": _text(f"All of {prefix or archive}"),
        }
    )
    document = {
        "@context": CONTEXT,
        "id": f"{base}/collection.json?{urlencode({'prefix': prefix})}",
        "type": "Collection",
        "label": _text(f"{archive}: {prefix}" if prefix else archive),
        "items": items,
    }
    return JSONResponse(document, headers={"Cache-Control": "no-cache"})


def _rows(archive: Archive, prefix: str, most: int) -> tuple[list[Archived], bool]:
    """The best rendition of each source, and whether there are more sources."""
    best: dict[str, Archived] = {}
    after: Position | None = None
    while True:
        page = archive.page(Search(prefix=prefix, restorable=True), after, MOST_ROWS)
        for row in filter(can_be_restored, page.rows):
            held = best.get(row.source_key)
            if held is None and len(best) >= most:
                return list(best.values()), True
            if held is None or restoration_rank(row) > restoration_rank(held):
                best[row.source_key] = row
        after = page.next
        if after is None:
            return list(best.values()), False


def _sizes(archive: Archive, rows: list[Archived]) -> list[tuple[int, int]]:
    """Width and height as they are seen; of a damaged rendition as they were stored."""
    found = []
    for row in rows:
        try:
            found.append(archive.seen_size(row))
        except RefoldError:  # its image says what is wrong with it; the others are sound
            found.append((row.width, row.height))
    return found


def _canvas(base: str, archive: str, row: Archived, seen: tuple[int, int]) -> dict[str, Any]:
    """One image."""
    id = RenditionId.of(archive, row).lasting
    image = f"{base}/iiif/3/{id}"
    canvas = f"{base}/iiif/presentation/3/{archive}/canvas/{id}"
    size = {"width": seen[0], "height": seen[1]}
    return {
        "id": canvas,
        "type": "Canvas",
        "label": _text(row.source_key),
        **size,
        "metadata": [
            _entry("Reconstructed", _reconstructed(row)),
            _entry("Measured quality", quality_in_words(row)),
            _entry("Rescaler", strategy_name(row.rescaler, "") if row.rescaler in PACKED
                   else f"{row.rescaler} at x{row.scale:g}, {row.codec}"),
        ],
        "thumbnail": [
            {"id": f"{image}/full/!256,256/0/default.jpg", "type": "Image", "format": "image/jpeg",
             "service": [{"id": image, "type": "ImageService3", "profile": "level2"}]}
        ],
        "items": [
            {
                "id": f"{canvas}/page",
                "type": "AnnotationPage",
                "items": [
                    {
                        "id": f"{canvas}/painting",
                        "type": "Annotation",
                        "motivation": "painting",
                        "target": canvas,
                        "body": {
                            "id": f"{image}/full/max/0/default.jpg",
                            "type": "Image",
                            "format": "image/jpeg",
                            **size,
                            "service": [
                                {"id": image, "type": "ImageService3", "profile": "level2"}
                            ],
                        },
                    }
                ],
            }
        ],
    }  # fmt: skip


def _reconstructed(row: Archived) -> str:
    if row.rescaler == REPACK:
        return "The file comes back exactly; seen here is a picture of it at 8 bits."
    if row.rescaler == DEEP:
        return "The file comes back with colours of 12 bits; seen here is a picture of it at 8."
    if row.psnr_y == math.inf:
        return "Restored exactly, sample by sample."
    return "Restored from a smaller image; not the source itself."


def quality_in_words(row: Archived) -> str:
    """What was measured against the source when it was archived."""
    if row.psnr_y is None:
        return "not measured"
    if row.psnr_y == math.inf:
        return "exact"
    return f"{row.psnr_y:.2f} dB PSNR-Y against the source, over the whole image"


def _text(text: str) -> dict[str, list[str]]:
    return {"none": [text]}


def _entry(label: str, value: str) -> dict[str, Any]:
    return {"label": {"en": [label]}, "value": {"en": [value]}}
