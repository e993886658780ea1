"""Whether the service lives, whether it can work, and what it counted."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from flows.service.asking import require_reader
from flows.service.metrics import joined
from flows.service.state import service_of
from rescaling_core.errors import RefoldError

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="The process answers")
async def healthz() -> dict[str, str]:
    """For those who restart it: touches neither storage nor networks."""
    return {"status": "alive"}


@router.get("/readyz", summary="Every archive can be read")
async def readyz(request: Request) -> JSONResponse:
    """For those who send requests to it: asks each catalog for its version."""
    service = service_of(request)
    states = {}
    for name, archive in service.archives.items():
        try:
            await service.do(lambda archive=archive: archive.catalog.version)
            states[name] = "ready"
        except RefoldError:
            states[name] = "cannot be read"
    ready = all(state == "ready" for state in states.values())
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    # Names of archives are for those who may read them; whether all can be read is for all.
    return JSONResponse({"status": "ready" if ready else "not ready"}, status_code=status)


@router.get("/metrics", summary="Counts, for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Requests, their times, refusals, damaged renditions, and the cache.

    Of replicas each is named, whichever of them was asked.
    """
    service = require_reader(request)
    counted = service.metrics.text() if service.counts is None else joined(await service.counts())
    return Response(counted, media_type="text/plain; version=0.0.4; charset=utf-8")
