"""The Ray cluster a run works on: the one that is there, or one of its own."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil
import ray
from ray._private import ray_constants, services, utils
from ray._private.node import Node

from rescaling_core.errors import RefoldError

LOCAL_SETTINGS: Final = {
    # Ray's own is 15: beside anything else that is busy, a run would hardly advance. Workers are
    # as nice as the command itself, so `nice` is the owner's to say.
    "worker_niceness": 0,
    # Ray would start a process for each CPU before it knows how many workers the run wants.
    "prestart_worker_first_driver": False,
}
"""Settings of a local Ray."""

STARTS: Final = 6
"""Tries of starting a local Ray. Nothing can make it more patient: its raylet ends itself where its
agent is not up within 15 seconds, which a busy machine is too slow for, and half a minute later Ray
notices. So it is tried again, for three minutes in all."""

LOOPBACK: Final = "127.0.0.1"

PATIENCE: Final = 30
"""Seconds for the first sign of life of a cluster that is named."""

_LONGEST_FOLDER: Final = 44
"""Characters of the session's folder: the names of the sockets in it have a limit of 107."""

_LOG: Final = logging.getLogger(__name__)

_TOKEN: Final = secrets.token_hex(32)
"""What the processes of local clusters know each other by. Ray reads it once in a process."""


class ClusterStartError(RefoldError):
    """A Ray of our own did not start, however patient we were."""


@contextmanager
def ray_session(*, shows_logs: bool = False) -> Iterator[None]:
    """Use the running Ray, the one `RAY_ADDRESS` names, or a local one for the time being.

    Only what was started here is shut down.

    Args:
        shows_logs: Whether what workers write to their standard error is written to this one's.

    Raises:
        ClusterStartError: A local one does not start, or the named one does not let us in.
    """
    if ray.is_initialized():
        yield
        return
    if address := os.environ.get("RAY_ADDRESS"):
        with _keeping_handlers():
            _join(address, shows_logs=shows_logs)
        try:
            yield
        finally:
            ray.shutdown()
        return
    with _private_folder() as folder, _local_variables():
        with _keeping_handlers():
            _start(folder, shows_logs=shows_logs)
        try:
            yield
        finally:
            ray.shutdown()


def _join(address: str, *, shows_logs: bool) -> None:
    """Use the cluster that the owner names."""
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=shows_logs, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        # `ray start` asks for a token where it finds one, and to those without it such a cluster
        # looks as if nobody answered. Ray never takes the token by itself for a named address.
        raise ClusterStartError(
            f"RAY_ADDRESS={address}: {' '.join(str(error).split())[:300].rstrip('.')}. See whether "
            f"a Ray of this release ({ray.__version__}) runs there; where it was started with a "
            "token, set RAY_AUTH_MODE=token and the same RAY_AUTH_TOKEN"
        ) from error


def _knock(address: str) -> None:
    """Find out whether anybody listens: Ray itself would wait for many minutes.

    Raises:
        ConnectionError: Nobody does.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return  # `auto`, `ray://…`: Ray's business
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except OSError as error:
        raise ConnectionError(f"nobody answers there ({error})") from error


def _start(folder: Path, *, shows_logs: bool) -> None:
    """Start a Ray that nobody outside this machine, and nobody else on it, can reach."""
    earlier = _children()
    for number in range(1, STARTS + 1):
        try:
            with _of_one_machine(), without_what_nobody_needs(shows_logs=shows_logs):
                ray.init(
                    # Not None: that would join whatever cluster someone left running here.
                    address="local",
                    include_dashboard=False,
                    _system_config=LOCAL_SETTINGS,
                    _node_ip_address=LOOPBACK,
                    _temp_dir=str(folder),
                    log_to_driver=shows_logs,
                    logging_level=logging.ERROR,
                )
        except Exception as error:
            ray.shutdown()
            _end_what_is_left(earlier)
            reason = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
            if number == STARTS:
                raise ClusterStartError(
                    f"Ray did not start on this machine in {STARTS} tries: {reason}. The load is "
                    f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs; try again when it is less "
                    "busy, or name a cluster that runs in RAY_ADDRESS"
                ) from error
            _LOG.warning("Ray did not start, try %d of %d: %s", number + 1, STARTS, reason)
        else:
            return


@contextmanager
def _keeping_handlers() -> Iterator[None]:
    """Leave SIGTERM to whoever handled it before.

    Ray's own handler would end its processes at once, under the feet of the driver, which then
    aborts with a native stack.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set handlers, Ray's neither
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _of_one_machine() -> Iterator[None]:
    """Let Ray believe that there are no other machines.

    It takes the loopback address for the one that others see, unless it is told so. Its variable
    for this is read when Ray is imported, which others may have done before us.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def without_what_nobody_needs(*, shows_logs: bool = False) -> Iterator[None]:
    """Leave out three processes of Ray's, each of which takes seconds of CPU time to start.

    They are the one behind the dashboard, the one that starts further nodes, and the one that
    carries the workers' logs to the driver, unless they are wanted there. On a busy machine they
    are what makes Ray's own parts too slow for one another. The first one is started for the usage
    statistics even with `include_dashboard=False`. Though these are off, it asks the machine's
    metadata address which cloud this is. That it did not start is something that Ray allows for.

    A fourth one, the dashboard's agent, cannot be left out, as a node lives only as long as its
    agent does. It starts as where Ray is installed without the dashboard: it imports less, and
    serves nothing.
    """
    node: Any = Node
    before = services.start_api_server, node.start_monitor, node.start_log_monitor
    whether_installed = utils.get_dashboard_dependency_error
    utils.get_dashboard_dependency_error = lambda: ImportError("no dashboard is wanted")
    services.start_api_server = lambda *_, **__: (None, None)
    node.start_monitor = lambda _: None
    if not shows_logs:
        node.start_log_monitor = lambda _: None
    try:
        yield
    finally:
        services.start_api_server, node.start_monitor, node.start_log_monitor = before
        utils.get_dashboard_dependency_error = whether_installed


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children())


def _end_what_is_left(earlier: set[psutil.Process]) -> None:
    """End what a try that failed has left running, which would slow the next one down."""
    left = _children() - earlier
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder for logs and sockets that nobody else can enter, gone afterwards.

    Ray opens its own folder to everybody, so it gets one inside the private one.
    """
    usual = tempfile.gettempdir()
    parent = usual if len(usual) + len("/refold-12345678/ray") <= _LONGEST_FOLDER else "/tmp"  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix="refold-", dir=parent))
    try:
        yield folder / "ray"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _local_variables() -> Iterator[None]:
    """The variables of a local cluster, where the owner has not set them.

    Without the token here Ray writes one into the home folder, for everybody to read, and keeps it.
    Ray itself sets the mode when it starts, and would leave it to all that is started afterwards.
    """
    ours = {"RAY_gcs_server_port_wait_time_s": "90"}
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        ours["RAY_AUTH_TOKEN"] = _TOKEN
    before = {name: os.environ.get(name) for name in (*ours, "RAY_AUTH_MODE")}
    for name, value in ours.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name, earlier in before.items():
            if earlier is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = earlier
