"""`refold serve --replicas`: the service on Ray Serve, for as long as the command runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from threading import Event
from typing import TYPE_CHECKING, Any, cast

from flows.cli import reaper
from flows.cli.console import out
from rescaling_core.errors import UsageError
from tasks.renditions.archive import Archive
from tasks.storage.addresses import absolute_address

if TYPE_CHECKING:
    from flows.service.access import Keys
    from flows.service.settings import ServeSettings


def serve_replicas(
    archives: Mapping[str, str], settings: ServeSettings, keys: Keys, host: str, port: int
) -> None:
    """Serve until the command is ended.

    Args:
        archives: Name → URL.
        settings: The limits, and how many replicas with what share of the cluster.
        keys: Who may read.
        host: Address that the proxies listen on.
        port: Their port.

    Raises:
        UsageError: A setting that cannot be, an archive that is not there, a cluster without room
            or one that runs Ray Serve already.
        ClusterStartError: A local Ray, or the replicas, do not start.
    """
    from ray import serve

    from flows.service import deployment
    from tasks.cluster.session import ClusterStartError, ray_session

    if port == 0:
        raise UsageError("--port 0: replicas need a port that is named")
    for url in archives.values():
        Archive(url)  # a wrong one is told here, not in the log of a replica
    found = {name: absolute_address(url) for name, url in archives.items()}
    application = deployment.deployment_of(found, _with_absolute_paths(settings), keys, host)
    deployment.set_environment()
    reaper.start()
    with ray_session(shows_logs=True):
        _require_room(settings)
        if serve.status().applications:
            raise UsageError(
                "the cluster runs Ray Serve already: add "
                "`flows.service.deployment:build` to its configuration (docs/serve.md)"
            )
        try:
            serve.start(
                proxy_location="EveryNode",
                http_options=deployment.http_options(host, port),
                logging_config=deployment.QUIET,
            )
            serve.run(application, name=deployment.NAME)
            shown = f"[{host}]" if ":" in host else host
            out.print(f"serving on http://{shown}:{port}", soft_wrap=True)
            out.file.flush()  # who started it reads the address
            Event().wait()
        except RuntimeError as error:  # as where a node cannot reach an archive
            raise ClusterStartError(
                f"the replicas did not start: {' '.join(str(error).split())[:500]}"
            ) from error
        finally:
            cast("Any", serve).shutdown()


def _with_absolute_paths(settings: ServeSettings) -> ServeSettings:
    folder = settings.tile_folder
    return settings.model_copy(
        update={
            "tile_folder": None if folder is None else folder.absolute(),
            "destinations": " ".join(map(absolute_address, settings.destinations.split())),
            "jobs": settings.jobs and absolute_address(settings.jobs),
        }
    )


def _require_room(settings: ServeSettings) -> None:
    """Refuse what a cluster of a fixed size never has; others may grow.

    Raises:
        UsageError: There is not as much.
    """
    import ray

    if os.environ.get("RAY_ADDRESS"):
        return
    there = cast("Any", ray).cluster_resources()
    for kind, each in (("CPU", settings.cpus), ("GPU", settings.gpus)):
        wanted = each * settings.replicas
        if wanted > there.get(kind, 0.0):
            raise UsageError(
                f"--replicas {settings.replicas}: they take {wanted:g} {kind}s, and this machine "
                f"has {there.get(kind, 0.0):g}; lower REFOLD_SERVE_{kind}S, or name a cluster in "
                "RAY_ADDRESS"
            )
