"""The try page: what a photo would become in an archive. Nothing of it is stored."""

from __future__ import annotations

import math
import time
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response
from humanize import naturalsize

from flows.service.asking import require_reader
from flows.service.errors import PublicError
from flows.service.html import page
from flows.service.iiif import parse
from flows.service.state import Service
from flows.service.trial import Choice, Trial, rescalers, try_photo
from flows.service.uploads import read_upload, refuse_other_sites
from flows.service.views import as_png
from rescaling_core import codecs
from rescaling_core.errors import ImageTooLargeError, RefoldError
from rescaling_core.pixels.area import as_stored, upright_size
from rescaling_core.pixels.tiles import DEFAULT_TILING
from rescaling_core.quality.scores import known
from rescaling_core.regions import enlarged_lr, resized

router = APIRouter(prefix="/try", include_in_schema=False)

_USUAL: Final = {"rescaler": "irn-x2-lite.2026-11", "scale": "2", "codec": "avif", "quality": "",
                 "floor": "34"}  # fmt: skip
_SHARE: Final = 0.5
"""Of the time that a trial may take: what is not begun by then is left out of the comparison."""
_KEPT_BY_ONE: Final = {
    "Cache-Control": "private, max-age=1800",
    "X-Content-Type-Options": "nosniff",
}


@router.get("")
async def form(request: Request) -> Response:
    """The form."""
    service = _service(request)
    return _page(request, service, _USUAL)


@router.post("")
async def try_it(request: Request) -> Response:
    """Make what is asked for, then lead to it."""
    service = _service(request)
    try:
        name = await _tried(request, service)
    except PublicError as error:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        # A browser without scripts: the sentence, and the form again.
        shown = _page(request, service, _USUAL, wrong=error.sentence)
        shown.status_code = error.status
        return shown
    return RedirectResponse(f"/try/{quote(name)}", status_code=HTTPStatus.SEE_OTHER)


async def _tried(request: Request, service: Service) -> str:
    """The name of a new trial."""
    refuse_other_sites(request)
    settings = service.settings
    with service.uploads:
        sent = await read_upload(request, most=settings.try_bytes, seconds=settings.seconds)
    choice = _choice(sent.fields)
    until = time.monotonic() + _SHARE * settings.try_seconds
    try:
        trial = await service.trying.do(
            lambda: try_photo(
                sent.data, sent.name, choice, max_pixels=settings.try_pixels, until=until
            )
        )
    except ImageTooLargeError as error:
        raise PublicError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"photo: it has more than the {settings.try_pixels:,} pixels that can be tried here.",
        ) from error
    except RefoldError as error:  # of the client's own file and choice: nothing here is secret
        raise PublicError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}"[:300]) from error
    return service.trials.add(trial)


@router.get("/{name}")
async def shown(request: Request, name: str) -> Response:
    """What was made of a photo."""
    service = _service(request)
    trial = _trial(service, name)
    asked = trial.choice
    values = {"rescaler": asked.rescaler, "scale": f"{asked.scale:g}", "codec": asked.codec,
              "quality": asked.quality if asked.quality is not None else "",
              "floor": "" if asked.floor is None else f"{asked.floor:g}"}  # fmt: skip
    return _page(request, service, values, trial=trial, rows=_rows(trial), token=name,
                 layers=_layers(trial, name), measured=_measured(trial))  # fmt: skip


@router.get("/{name}/lr")
async def lr(request: Request, name: str) -> Response:
    """The LR file as an archive would hold it."""
    trial = _trial(_service(request), name)
    if trial.made is None:
        raise _gone()
    codec = codecs.codec_of(trial.made.data)
    kind = "application/octet-stream" if codec is None else codec.media_type
    return Response(trial.made.data, media_type=kind, headers=_KEPT_BY_ONE)


@router.get("/{name}/{layer}/{region}/{size}")
async def layer(
    request: Request,
    name: str,
    layer: Literal["lr", "restored", "source"],
    region: Annotated[str, Path(max_length=100)],
    size: Annotated[str, Path(max_length=60)],
) -> Response:
    """A part of a picture, cut as IIIF cuts."""
    service = _service(request)
    trial = _trial(service, name)
    data = await service.do(_cut, trial, layer, region, size, service.settings.max_pixels)
    return Response(data, media_type="image/png", headers=_KEPT_BY_ONE)


def _service(request: Request) -> Service:
    service = require_reader(request)
    if not service.tries:
        raise PublicError(HTTPStatus.NOT_FOUND, "Photos cannot be tried here.")
    return service


def _trial(service: Service, name: str) -> Trial:
    if (trial := service.trials.get(name)) is None:
        raise _gone()
    return trial


def _gone() -> PublicError:
    return PublicError(HTTPStatus.NOT_FOUND, "There is no such trial, or not any more.")


def _choice(fields: Any) -> Choice:
    """What the form says, part by part."""
    rescaler = fields.get("rescaler", _USUAL["rescaler"])
    scale = _number(fields, "scale", 1, 16) or 2.0
    quality = _number(fields, "quality", 0, 100)
    return Choice(
        rescaler=rescaler,
        scale=scale,
        codec=fields.get("codec", _USUAL["codec"])[:40],
        quality=None if quality is None else int(quality),
        floor=_number(fields, "floor", 1, 90),
    )


def _number(fields: Any, name: str, least: float, most: float) -> float | None:
    text = fields.get(name, "").strip().replace(",", ".")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise PublicError(
            HTTPStatus.BAD_REQUEST, f"{name}: expected a number from {least:g} to {most:g}."
        )
    return number


def _page(request: Request, service: Service, values: Any, **shown: Any) -> Response:
    known_codecs = []
    for codec in codecs.available():
        if codec.qualities is not None:
            known_codecs.append(codec.name)
        if codec.lossless:
            known_codecs.append(codec.name if codec.qualities is None else f"{codec.name}-lossless")
    limits = (
        f"Up to {naturalsize(service.settings.try_bytes, binary=True)} and "
        f"{service.settings.try_pixels:,} pixels. Nothing is stored: what is made of it is kept in "
        "memory for half an hour at most."
    )
    return page(request, "try.html", here="try", rescalers=rescalers(), codecs=known_codecs,
                asked=values, limits=limits, **shown)  # fmt: skip


def _rows(trial: Trial) -> list[dict[str, str]]:
    """What is compared: each way of storing the photo, its bytes and quality."""

    def row(title: str, nbytes: int | None, psnr_y: float | None, said: str) -> dict[str, str]:
        share = "" if nbytes is None else f"{nbytes / trial.source_bytes:.1%}"
        size = "" if nbytes is None else f"{nbytes:,}"
        decibels = "" if psnr_y is None else "exact" if math.isinf(psnr_y) else f"{psnr_y:.2f}"
        return {"title": title, "bytes": size, "share": share, "psnr_y": decibels, "said": said}

    photo = trial.source
    rows = [row("Your file", trial.source_bytes, None, f"{photo.format}, {photo.width} × "
                f"{photo.height} pixels")]  # fmt: skip
    if trial.made is None:
        rows.append(row("Refold", None, None, trial.reason))
    else:
        record = trial.made.metadata
        quality = "" if record.quality is None else f" at quality {record.quality}"
        said = f"{record.codec}{quality}, {record.lr_width} × {record.lr_height} pixels"
        rows.append(row("Refold", len(trial.made.data), record.psnr_y, said))
    rows += [row(f"{one.title} alone", one.nbytes, one.psnr_y, one.said) for one in trial.others]
    return rows


def _measured(trial: Trial) -> str:
    if trial.made is None:
        return ""
    values = known(trial.made.metadata)
    return ", ".join(f"{one.title} {one.text(value)}" for one, value in values if not one.whole)


def _layers(trial: Trial, name: str) -> dict[str, Any] | None:
    """What the viewer shows; None where nothing was made."""
    if trial.made is None:
        return None
    photo, titles = trial.source, {"source": "your photo", "restored": "restored"}
    if not trial.made.metadata.is_as_stored:
        titles = {"lr": "LR image, bicubic", **titles}
    width, height = upright_size(photo.width, photo.height, photo.orientation)
    return {
        "width": width, "height": height, "tile": DEFAULT_TILING.tile,
        "names": list(titles), "titles": list(titles.values()),
        "sources": [f"/try/{name}/{layer}/{{region}}/{{size}}" for layer in titles],
    }  # fmt: skip


def _cut(trial: Trial, layer: str, region: str, size: str, limit: int) -> bytes:
    photo = trial.source
    seen = upright_size(photo.width, photo.height, photo.orientation)
    wanted = parse(region, size, "0", "default.png", seen, limit)
    area = as_stored(wanted.area, photo.width, photo.height, photo.orientation)
    wide, high = upright_size(*wanted.size, photo.orientation)
    if layer == "source":
        pixels = resized(photo.pixels[area.rows, area.columns], (wide, high))
    elif trial.made is None or trial.restored is None:
        raise _gone()
    elif layer == "restored":
        pixels = resized(trial.restored[area.rows, area.columns], (wide, high))
    else:
        pixels = enlarged_lr(trial.made, area, (wide, high))
    return as_png(pixels, photo)
