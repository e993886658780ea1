"""The application: what all routes share, put together."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from flows.service import errors
from flows.service.access import Keys, is_loopback
from flows.service.ids import archive_names
from flows.service.job_records import JobRecords
from flows.service.jobs import Jobs
from flows.service.metrics import Metrics
from flows.service.routers import (
    health,
    iiif_image,
    iiif_presentation,
    pages,
    renditions,
    restorations,
    trying,
)
from flows.service.settings import ServeSettings
from flows.service.state import Counts, Service
from flows.service.trials import Trials
from flows.service.work import Full, Places, Work
from rescaling_core import __version__
from tasks.renditions.archive import Archive
from tasks.renditions.cache import ByteCache
from tasks.renditions.tile_folder import TileFolder
from tasks.storage import open_store

_LOOPBACK: Final = ["localhost", "127.0.0.1", "[::1]"]

JOBS_FOLDER: Final = "refold-jobs"
"""Where records of jobs lie in the first destination, if the operator names no other place."""

_QUICK: Final = 4
"""Threads more, and times the room, for what needs no network: it takes milliseconds."""

_UPLOADS: Final = 4
"""Photos that are sent at once: each is held in memory."""

_ABOUT: Final = """
Archives of small images from which the originals are restored on demand, with the quality that was
measured when they were archived. Whole images and regions come as PNG (exact), WebP, JPEG or AVIF;
IIIF viewers find them below `/iiif/3`.
"""

Next = Callable[[Request], Awaitable[Response]]


def create_app(
    archives: Mapping[str, str], settings: ServeSettings, keys: Keys, *, host: str = "127.0.0.1",
    counts: Counts | None = None,
) -> FastAPI:  # fmt: skip
    """Make the application.

    Args:
        archives: Name → URL.
        settings: Its limits.
        keys: Who may read.
        host: Address that it listens on.
        counts: Asks all replicas what they counted, where there are several.

    Raises:
        UsageError: An archive is not there.
        StorageError: An archive cannot be reached.
    """
    cache = ByteCache(settings.cache_bytes)
    folder = settings.tile_folder
    tiles = None if folder is None else TileFolder(folder, settings.tile_folder_bytes)
    destinations = archive_names(settings.destinations.split())
    for url in destinations.values():
        open_store(url)  # a wrong one is told now, not to the first client
    service = Service(
        archives={name: Archive(url, cache=cache, tiles=tiles) for name, url in archives.items()},
        settings=settings,
        metrics=Metrics(cache),
        work=Work(settings.threads, settings.waiting, settings.seconds),
        quick=Work(settings.threads + _QUICK, _QUICK * settings.waiting, settings.seconds),
        keys=keys,
        is_local=is_loopback(host),
        trying=Work(1, 0, settings.try_seconds),
        uploads=Places(_UPLOADS),
        trials=Trials(),
        jobs=_jobs(archives, settings, destinations),
        destinations=destinations,
        counts=counts,
    )

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        service.jobs.start()
        yield
        service.work.close()
        service.quick.close()
        service.trying.close()
        service.jobs.close()

    app = FastAPI(
        title="Refold", version=__version__, description=_ABOUT, lifespan=life,
        docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.state.service = service
    errors.install(app)
    _install_work(app)
    for one in (health, renditions, iiif_image, iiif_presentation, restorations, pages, trying):
        app.include_router(one.router)
    app.mount("/static", StaticFiles(packages=[("flows.service", "static")]), name="static")
    _install_middleware(app, service)
    hosts = settings.hosts.split() or (_LOOPBACK if is_loopback(host) else [])
    if hosts:  # else a page elsewhere could read an open service under a name of its own
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    logging.getLogger("refold.serve").setLevel(logging.INFO)
    return app


def _jobs(
    archives: Mapping[str, str], settings: ServeSettings, destinations: Mapping[str, str]
) -> Jobs:
    if not destinations:
        return Jobs(None, archives, destinations)
    folder = settings.jobs or f"{next(iter(destinations.values())).rstrip('/')}/{JOBS_FOLDER}"
    return Jobs(JobRecords(open_store(folder)), archives, destinations)


def _install_work(app: FastAPI) -> None:
    @app.exception_handler(Full)
    async def full(request: Request, error: Full) -> Response:
        request.app.state.service.metrics.refused.inc()
        sentence = "Too many requests are under way."
        headers = {"Retry-After": str(error.seconds)}
        return errors.answer(request, HTTPStatus.TOO_MANY_REQUESTS, sentence, headers)

    @app.exception_handler(TimeoutError)
    async def late(request: Request, _: TimeoutError) -> Response:
        sentence = "It took longer than a request may."
        return errors.answer(
            request, HTTPStatus.SERVICE_UNAVAILABLE, sentence, {"Retry-After": "10"}
        )


def _install_middleware(app: FastAPI, service: Service) -> None:
    origins = service.settings.cors_origins.split()

    @app.middleware("http")
    async def around(request: Request, answer: Next) -> Response:
        """Refuse large bodies, count, and let IIIF viewers of other origins read."""
        begun = time.perf_counter()
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers:  # a body of any length
            response: Response = errors.answer(
                request, HTTPStatus.LENGTH_REQUIRED, "Send a Content-Length with the body."
            )
        elif not length.isdigit() or int(length) > _most_bytes(request, service):
            response = errors.answer(
                request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request's body is too large."
            )
        elif request.method == "OPTIONS" and request.url.path.startswith("/iiif/"):
            response = Response(status_code=HTTPStatus.NO_CONTENT)
        else:
            response = await _answered(request, answer)
        if request.url.path.startswith("/iiif/"):
            _allow(request, response, origins)
        route = getattr(request.scope.get("route"), "path", "other")
        service.metrics.requests.labels(route, str(response.status_code)).inc()
        service.metrics.seconds.labels(route).observe(time.perf_counter() - begun)
        return response


def _most_bytes(request: Request, service: Service) -> int:
    """Of a request's body; photos are let in where they are tried."""
    most = service.settings.max_request_bytes
    if service.tries and request.method == "POST" and request.url.path == "/try":
        return most + service.settings.try_bytes
    return most


async def _answered(request: Request, answer: Next) -> Response:
    """HEAD is answered as GET is; the server leaves the body out."""
    if request.method != "HEAD":
        return await answer(request)
    request.scope["method"] = "GET"
    try:
        return await answer(request)
    finally:
        request.scope["method"] = "HEAD"


def _allow(request: Request, response: Response, origins: list[str]) -> None:
    origin = request.headers.get("origin", "")
    if "*" in origins:
        response.headers["Access-Control-Allow-Origin"] = "*"
    elif origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers.append("Vary", "Origin")
    else:
        return
    response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
    response.headers["Access-Control-Allow-Headers"] = "Authorization, X-API-Key"
    response.headers["Access-Control-Expose-Headers"] = "Link, ETag"
