"""`refold serve`."""

from __future__ import annotations

from pathlib import Path
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET
from socket import socket as Socket  # noqa: N812 - it is the class
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import err, out
from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI


def serve(
    archives: Annotated[
        list[str] | None, typer.Argument(help="URLs or paths of archives to serve.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine, keys are needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for one that is free.")] = 8080,
    keys: Annotated[
        Path | None, typer.Option(help="File of API keys, one a line: `name sha256 [archive ...]`.")
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Let everybody who reaches the service read.")
    ] = False,
    replicas: Annotated[
        int | None,
        typer.Option(
            min=0, max=1000, help="Replicas on Ray Serve; by default this process, without Ray."
        ),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option(help="Print a new key of this name, and its line for the file of keys."),
    ] = None,
) -> None:
    """Serve archives: restored images over HTTP, to IIIF viewers, and pages to look at them."""
    try:
        import uvicorn

        from flows.cli.replicas import serve_replicas
        from flows.service.access import new_key as make_key
        from flows.service.access import read_keys
        from flows.service.app import create_app
        from flows.service.ids import archive_names
        from flows.service.settings import serve_settings
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed: pip install 'refold[serve]'") from error
    if new_key is not None:
        key, line = make_key(new_key)
        out.print(f"key:  {key}", soft_wrap=True)
        out.print(f"line: {line}", soft_wrap=True)
        return
    if not archives:
        raise UsageError("name an archive, or several")
    settings = serve_settings()
    if replicas is not None:
        settings = settings.model_copy(update={"replicas": replicas})
    known = read_keys(
        keys or settings.keys, anonymous=True if anonymous else settings.anonymous, host=host
    )
    names = archive_names(archives)
    if settings.replicas:
        with listening_socket(host, port):
            pass  # that it can be had is told here, not in the log of a proxy
        _tell(names)
        serve_replicas(names, settings, known, host, port)
        return
    app = create_app(names, settings, known, host=host)
    _tell(names)
    config = configured(app, host, port)
    with listening_socket(host, port) as listening:
        address, number = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        out.print(f"serving on http://{shown}:{number}", soft_wrap=True)
        out.file.flush()  # who started it reads the address
        uvicorn.Server(config).run(sockets=[listening])


def _tell(names: dict[str, str]) -> None:
    for name, url in names.items():
        err.print(f"{name}: {url}")


def configured(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    """How the server is set, whatever else is installed."""
    import uvicorn

    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=15,
        http="h11",  # httptools takes headers of any length
        h11_max_incomplete_event_size=64 * 1024,
        # More connections than this are answered 503 before they cost anything.
        limit_concurrency=1000,
    )


def listening_socket(host: str, port: int) -> Socket:
    """The socket to listen on.

    Raises:
        UsageError: The address cannot be had.
    """
    family = AF_INET6 if ":" in host else AF_INET
    listening = Socket(family)
    listening.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)  # who comes before the service is ready waits
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"--host {host} --port {port}: {reason}") from error
    return listening
