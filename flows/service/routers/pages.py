"""The inspector: pages for people, made here and with nothing from elsewhere."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response
from humanize import naturalsize

from flows.service.asking import Asked, Rendition, archive_of, key_of, require_reader
from flows.service.described import described
from flows.service.errors import PublicError
from flows.service.facts import headline, in_words
from flows.service.html import page
from flows.service.ids import RenditionId, no_such_image
from flows.service.iiif import ImageRequest, parse
from flows.service.links import base_url
from flows.service.state import service_of
from flows.service.views import beside, grid_of, upright_size_of
from rescaling_core.errors import MetadataError, RefoldError
from tasks.catalog import Archived, CatalogRow, State
from tasks.catalog.history import can_be_restored
from tasks.catalog.paging import Position, Search
from tasks.renditions.archive import Archive

router = APIRouter(include_in_schema=False)

CARDS: Final = 48


@router.get("/")
async def home(request: Request) -> Response:
    """The first archive that may be read."""
    service, key = require_reader(request), key_of(request)
    first = next(name for name in service.archives if service.keys.may_read(key, name))
    return RedirectResponse(f"/pages/{quote(first)}")


@router.get("/pages/{archive}")
async def gallery(
    archive: str,
    request: Request,
    prefix: Annotated[str, Query(max_length=1024)] = "",
    glob: Annotated[str, Query(max_length=1024)] = "",
    target: Annotated[str, Query(max_length=100)] = "",
    state: Literal["", "archived", "kept", "quarantined"] = "",
    psnr_min: Annotated[str, Query(max_length=20)] = "",
    cursor: Annotated[str, Query(max_length=4096)] = "",
) -> Response:
    """Thumbnails, made from LR images."""
    found = archive_of(request, archive)
    search = Search(
        prefix=prefix or None, glob=glob or None, target=target or None,
        state=_state(state), psnr_min=_number(psnr_min),
    )  # fmt: skip
    after = Position.parse(cursor) if cursor else None
    shown = await service_of(request).do(found.page, search, after, CARDS)
    more = None
    if shown.next is not None:
        values = {"prefix": prefix, "glob": glob, "target": target, "state": state,
                  "psnr_min": psnr_min, "cursor": shown.next.cursor()}  # fmt: skip
        more = "?" + urlencode({name: value for name, value in values.items() if value})
    cards = [_card(archive, row) for row in shown.rows]
    return page(request, "gallery.html", archive=archive, asked=search, cards=cards, more=more)


@router.get("/pages/{archive}/about")
async def about(archive: str, request: Request) -> Response:
    """States, bytes, quality and runs."""
    found = archive_of(request, archive)
    known = await service_of(request).do(_known, found)
    collection = f"{base_url(request)}/iiif/presentation/3/{archive}/collection.json"
    return page(
        request, "about.html", archive=archive, collection=collection, here="about", **known
    )


@router.get("/images/{id}")
async def image(asked: Rendition, request: Request) -> Response:
    """One image: to zoom, to compare, to download, and all that is known of it."""
    row, archive = asked.row, asked.id.archive
    layers, why = None, "Nothing can be restored from this."
    if can_be_restored(row):
        try:
            layers = await asked.service.do(_layers, asked)
        except RefoldError:
            why = "This rendition is damaged, so that nothing is shown: refold scrub says more."
    record = None
    if isinstance(row, Archived):
        try:
            record = row.recorded
        except MetadataError:
            why = "Its restoration metadata cannot be read."
    return page(
        request, "image.html", archive=archive, one=described(archive, row), layers=layers, why=why,
        lead=headline(row, record), facts=in_words(row, record), lines=_lines(request, asked),
        name=row.source_key.rpartition("/")[2].rpartition(".")[0] or "image",
    )  # fmt: skip


@router.get("/images/{id}/{layer}/{region}/{size}")
async def layer(
    asked: Rendition,
    layer: Literal["lr", "source"],
    region: Annotated[str, Path(max_length=100)],
    size: Annotated[str, Path(max_length=60)],
) -> Response:
    """What the restoration is compared with, cut as IIIF cuts."""
    if layer == "source" and not asked.service.settings.sources:
        raise no_such_image()
    opened = await asked.service.do(asked.archive.opened, asked.row)
    limit = asked.service.settings.max_pixels
    wanted: ImageRequest = parse(region, size, "0", "default.png", upright_size_of(opened), limit)
    data = await asked.service.do(beside, asked, wanted, layer)
    if data is None:
        raise no_such_image()
    headers = {"Cache-Control": f"{asked.scope}, max-age=3600"}
    return Response(data, media_type="image/png", headers=headers)


def _state(text: str) -> State | None:
    return text or None  # type: ignore[return-value]  # FastAPI looked at it


def _number(text: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1000:
        raise PublicError(400, "psnr_min: expected decibels, such as 34.5.")
    return number


def _card(archive: str, row: CatalogRow) -> dict[str, Any]:
    id = RenditionId.of(archive, row)
    words = f"{row.target}, {row.state}"
    if row.psnr_y is not None:
        words += ", exact" if row.psnr_y == math.inf else f", {row.psnr_y:.1f} dB"
    thumbnail = None
    if can_be_restored(row):
        thumbnail = f"/iiif/3/{id.exact}/full/!320,240/0/default.webp"
    elif isinstance(row, Archived):
        thumbnail = f"/v1/renditions/{id.exact}/lr"
    return {"url": f"/images/{id.lasting}", "key": row.source_key, "state": row.state,
            "words": words, "thumbnail": thumbnail}  # fmt: skip


def _layers(asked: Asked) -> dict[str, Any]:
    opened = asked.archive.opened(asked.row)
    width, height = upright_size_of(opened)
    id = asked.id.lasting
    layers = {}
    if not opened.metadata.is_as_stored:
        layers["lr"] = ("LR image, bicubic", f"/images/{id}/lr/{{region}}/{{size}}")
    restored = f"/iiif/3/{id}/{{region}}/{{size}}/0/default.png"
    layers["restored"] = ("restored", restored)
    if asked.service.settings.sources and asked.archive.source(asked.row) is not None:
        layers["source"] = ("source", f"/images/{id}/source/{{region}}/{{size}}")
    return {
        "width": width, "height": height, "tile": grid_of(opened).tile_side(),
        "names": list(layers), "titles": [title for title, _ in layers.values()],
        "sources": [url for _, url in layers.values()],
    }  # fmt: skip


def _lines(request: Request, asked: Asked) -> list[tuple[str, str]]:
    base, key = base_url(request), asked.row.source_key
    url = asked.archive.store.url
    shown = "'" + key.replace("'", "'\\''") + "'"
    prefix = urlencode({"prefix": key})
    manifest = f"{base}/iiif/presentation/3/{asked.id.archive}/manifest.json?{prefix}"
    # Where it lies is for those on this machine; others have their own way to it.
    archive = url if asked.service.is_local else "ARCHIVE"
    return [
        ("IIIF image", f"{base}/iiif/3/{asked.id.lasting}/info.json"),
        ("IIIF manifest", manifest),
        ("Command", f"refold restore {archive} restored {shown} --target {asked.row.target}"),
    ]


def _known(archive: Archive) -> dict[str, Any]:
    totals = archive.catalog.totals()
    saved = totals.source_bytes - totals.lr_bytes
    said = (
        f"{totals.renditions:,} renditions take {naturalsize(totals.lr_bytes, binary=True)}. "
        f"Their sources have {naturalsize(totals.source_bytes, binary=True)}"
        + (f": {saved / totals.source_bytes:.1%} less." if saved > 0 else ".")
    )
    most = max((count for _, count in totals.quality), default=1)
    quality = [{"name": name, "count": count, "most": most} for name, count in totals.quality]
    runs = archive.catalog.runs()[-50:][::-1]
    return {"counts": archive.catalog.counts(), "bytes": said, "quality": quality, "runs": runs}
