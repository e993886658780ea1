"""The dashboard's picture in docs/operations/watch.md: `python -m infra.dashboard_picture`.

Real runs on a Ray node of this machine and a real service, scraped by Prometheus from Debian with
the project's own rules, then drawn by `infra.dashboard`. It takes some ten minutes of two cores.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from benchmarks.peers import write_photographs
from infra.dashboard import draw, read
from tests.servers.processes import free_port, start, stop, wait_for_http
from tests.servers.prometheus import prometheus_server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = ROOT / "docs" / "images" / "dashboard.svg"
REFOLD: Final = (sys.executable, "-m", "flows.cli")
FIRST, SECOND = 20, 60
"""Photographs of the two runs."""
PAUSE: Final = 0.3
"""Seconds between two questions to the service."""
SCRAPE: Final = 3


def main() -> None:
    """Run all of it, and draw it."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        driver, ray, service = free_port(), free_port(), free_port()
        begun = time.time()
        told = _told(driver=driver, serve=service, ray=ray)
        url, _ = stack.enter_context(prometheus_server(folder, told))
        address = stack.enter_context(_ray(folder, ray))
        environment = {
            **os.environ,
            "RAY_ADDRESS": address,
            "RAY_AUTH_MODE": "disabled",
            "REFOLD_METRICS_LISTEN": f"127.0.0.1:{driver}",
        }
        photos, archive = folder / "photos", folder / "archive"
        _archive(photos, archive, FIRST, environment)
        stack.enter_context(_visitors(folder, archive, service))
        (photos / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
        _archive(photos, archive, SECOND, environment)
        _run("scrub", archive, environment=environment)
        time.sleep(2 * SCRAPE)
        draw(read(url, begun, time.time()), out)


def _told(**ports: int) -> dict[str, Any]:
    """What Prometheus is told: the project's rules, and whom to ask."""
    return {
        "global": {"scrape_interval": f"{SCRAPE}s", "evaluation_interval": f"{SCRAPE}s"},
        "rule_files": [str(ROOT / "infra" / "prometheus" / "rules.yml")],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for job, port in ports.items()
        ],
    }


@contextmanager
def _ray(folder: Path, metrics: int) -> Iterator[str]:
    """A Ray node that serves what its workers count; gives its address."""
    port, log = free_port(), folder / "ray.log"
    ray = Path(sys.executable).with_name("ray")
    process = start(
        [
            str(ray), "start", "--head", "--block", f"--port={port}", "--num-cpus=2",
            f"--metrics-export-port={metrics}", "--disable-usage-stats",
            "--include-dashboard=false",
        ],
        log,
        {**os.environ, "RAY_AUTH_MODE": "disabled"},
    )  # fmt: skip
    try:
        wait_for_http(f"http://127.0.0.1:{metrics}/metrics", process, log, 120)
        yield f"127.0.0.1:{port}"
    finally:
        stop(process)


def _archive(photos: Path, archive: Path, count: int, environment: dict[str, str]) -> None:
    """Archive that many more photographs."""
    photos.mkdir(exist_ok=True)
    write_photographs(photos / str(count), count, 0.3, 1.0)
    _run("archive", photos, archive, environment=environment)


def _run(*words: str | Path, environment: dict[str, str]) -> None:
    """Run a command of refold; that it finds something wrong is part of the picture."""
    command = [*REFOLD, *map(str, words)]
    subprocess.run(command, env=environment, check=False)  # noqa: S603 - nothing is anyone's input


@contextmanager
def _visitors(folder: Path, archive: Path, port: int) -> Iterator[None]:
    """The service, and somebody who looks at one picture after the other."""
    url, log = f"http://127.0.0.1:{port}", folder / "serve.log"
    process = start(
        [*REFOLD, "serve", str(archive), f"--port={port}", "--anonymous"], log, dict(os.environ)
    )
    over = threading.Event()
    try:
        wait_for_http(f"{url}/healthz", process, log, 120)
        visitor = threading.Thread(target=_look, args=(url, over))
        visitor.start()
        try:
            yield
        finally:
            over.set()
            visitor.join()
    finally:
        stop(process)


def _look(url: str, over: threading.Event) -> None:
    """Ask for one rendition after the other, and for one that is not there."""
    found = [one["id"] for one in json.loads(_get(f"{url}/v1/renditions?limit=100"))["renditions"]]
    paths = [f"/v1/renditions/{one}/{what}" for one in (*found, "nothing") for what in ("lr", "hr")]
    for path in itertools.cycle(paths):
        with contextlib.suppress(urllib.error.HTTPError):
            _get(url + path)
        if over.wait(PAUSE):
            return


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - the service of this script
        found: bytes = answer.read()
    return found


if __name__ == "__main__":
    main()
