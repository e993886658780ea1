"""The service on Ray Serve: replicas of the application on the nodes of a cluster.

Ray Serve has a proxy on each node, sends every request to the replica that has the least to do, and
puts a new one in the place of a replica that died. `build` is what Serve's own configuration names
(docs/serve.md), `deployment_of` what `refold serve --replicas` runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, cast

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.middleware import Middleware

from flows.service.access import Keys, read_keys
from flows.service.app import create_app
from flows.service.ids import archive_names
from flows.service.settings import ServeSettings, serve_settings
from rescaling_core.errors import UsageError

NAME: Final = "refold"
"""Of the application, as Ray Serve shows it."""

MOST_AT_ONCE: Final = 1000
"""Requests of a replica. It refuses by itself, and sooner, what it has no room for."""

CALLBACK: Final = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
"""Ray's variable that names a function for the processes of the proxies."""

QUIET: Final = LoggingConfig(log_level="WARNING", enable_access_log=False)
"""The application logs what an operator has to know. Serve would log each request as well."""

_HEALTH: Final = 10.0
"""Seconds between two looks after a replica."""

_NO_TRY_PAGE: Final = (
    "REFOLD_SERVE_TRY_PAGE: replicas have no page to try photos on, since what was made is kept in "
    "the memory of one process; start another service for it"
)


class Deployed(BaseModel):
    """What Serve's configuration may say; all else is read from the environment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    archives: Annotated[list[str], Field(min_length=1)]
    """URLs."""
    host: str = "0.0.0.0"  # noqa: S104 - what the proxies of a cluster listen on
    """Address that the proxies listen on, as in Serve's `http_options`."""
    keys: Path | None = None
    """The file of keys."""
    anonymous: bool | None = None
    """Whether reading needs no key."""


class Refold:
    """One replica. Its networks and its cache are its own."""

    def __init__(
        self, archives: Mapping[str, str], settings: ServeSettings, keys: Keys, host: str
    ) -> None:
        """Open the archives.

        Args:
            archives: Name → URL.
            settings: Its limits.
            keys: Who may read.
            host: Address that the proxies listen on.
        """
        self._app = create_app(archives, settings, keys, host=host, counts=_all_counts)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Give Ray Serve the application that answers."""
        return self._app

    def counts(self) -> tuple[str, bytes]:
        """The replica's name, and what it counted, for the replica that was asked."""
        name = serve.get_replica_context().replica_id.unique_id
        return name, self._app.state.service.metrics.text()


def build(args: Deployed) -> serve.Application:
    """The application that a configuration of Ray Serve describes.

    Raises:
        UsageError: A setting that cannot be, or nobody could read anything.
    """
    settings = serve_settings()
    asked = settings.anonymous if args.anonymous is None else args.anonymous
    keys = read_keys(args.keys or settings.keys, anonymous=asked, host=args.host)
    return deployment_of(archive_names(args.archives), settings, keys, args.host)


def deployment_of(
    archives: Mapping[str, str], settings: ServeSettings, keys: Keys, host: str
) -> serve.Application:
    """The application with as many replicas as its settings say.

    Raises:
        UsageError: A setting that replicas cannot have.
    """
    if settings.try_page:
        raise UsageError(_NO_TRY_PAGE)
    deployed = cast("Any", serve.deployment)(
        serve.ingress()(Refold),
        name=NAME,
        num_replicas=settings.replicas or 1,  # of a configuration, which says it itself
        ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
        max_ongoing_requests=MOST_AT_ONCE,
        health_check_period_s=_HEALTH,
        graceful_shutdown_timeout_s=settings.seconds,
        logging_config=QUIET,
    )
    return cast(
        "serve.Application",
        deployed.bind(dict(archives), settings.model_copy(update={"try_page": False}), keys, host),
    )


def http_options(host: str, port: int) -> HTTPOptions:
    """How the proxies listen."""
    return HTTPOptions(host=host, port=port, keep_alive_timeout_s=15)


def bounded_headers() -> list[Middleware]:
    """Let a proxy take headers of 64 KiB at most; Ray Serve calls it in the proxy's process.

    The faster parser that comes with Ray Serve, httptools, takes headers of any length.
    """
    from uvicorn.config import HTTP_PROTOCOLS

    HTTP_PROTOCOLS["auto"] = HTTP_PROTOCOLS["h11"]
    return []


ENVIRONMENT: Final = {
    CALLBACK: f"{__name__}.{bounded_headers.__name__}",
    # Serve's own is 5, and a proxy that takes three times as long to start is killed. On a busy
    # machine all of them do.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
}
"""Of a Ray that is started for this service."""


def set_environment() -> None:
    """Let a Ray that is started from here know how its proxies are to be."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


async def _all_counts() -> list[tuple[str, bytes]]:
    """What every replica counted."""
    context = serve.get_replica_context()
    handle = serve.get_deployment_handle(context.deployment, context.app_name)
    told = handle.broadcast("counts").results_async(timeout_s=5, return_exceptions=True)
    return [one for one in await told if not isinstance(one, BaseException)]  # it died meanwhile
