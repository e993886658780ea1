"""Headless Chromium, which says how a viewer sees an image file or a page."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import numpy as np
from PIL import Image
from websockets.sync.client import ClientConnection, connect

from tests.servers.debian import CACHE, DebianPackages, library_folders
from tests.servers.processes import ServerError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

HOW_TO = (
    "Some tests look at images in headless Chromium. Where none is installed, it is fetched with "
    f"apt-get from Debian into {CACHE / 'chromium'} (about 100 MB) and run from there. Where that "
    f"does not work, install it yourself (one of {', '.join(PROGRAMS)} on the PATH), or set "
    "REFOLD_NO_BROWSER=1 to leave these tests out."
)

FLAGS = (
    "--headless",
    "--no-sandbox",  # which root may not use; only our own files are opened
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",  # of the screen that profiles are translated to
    "--force-device-scale-factor=1",
)

STYLE = """<!doctype html><meta charset="utf-8">
<style>body { margin: 0 } img { position: absolute; top: 0 }</style>"""


LOOK = """JSON.stringify({
    images: [...document.images].map(image => image.naturalWidth),
    unnamed: document.querySelectorAll('img:not([alt])').length,
    text: document.body.innerText,
    tags: [...new Set([...document.querySelectorAll('*')].map(node => node.localName))],
    overflow: document.documentElement.scrollWidth - window.innerWidth,
})"""


@dataclass(frozen=True)
class Visit:
    """What became of a page that was opened."""

    images: list[int]
    """Width of each image in pixels of its own; 0 of one that could not be loaded."""
    unnamed: int
    """Images without an alternative text."""
    text: str
    """As it is seen."""
    tags: list[str]
    overflow: int
    """Pixels by which the page is wider than the window; 0 or less if it fits."""
    requests: list[str]
    """URLs that were asked for, data URIs aside."""


@dataclass(frozen=True)
class Chromium:
    """A browser that takes pictures, and opens pages."""

    program: Path
    environment: dict[str, str]

    def visit(self, page: Path, width: int = 1000) -> Visit:
        """Open a page in a window of some width and look around in it.

        Raises:
            ServerError: The browser does not start or does not answer.
        """
        profile = TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        with profile as folder, self._opened(folder, width) as port:
            with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
                (tab,) = (one for one in json.load(answer) if one["type"] == "page")
            with connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
                tools = _DevTools(socket)
                tools.ask("Network.enable")
                tools.ask("Page.enable")
                tools.ask("Page.navigate", url=page.as_uri())
                tools.until("Page.loadEventFired")
                seen = json.loads(tools.ask("Runtime.evaluate", expression=LOOK)["result"]["value"])
        urls = [
            event["params"]["request"]["url"]
            for event in tools.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return Visit(requests=[url for url in urls if not url.startswith("data:")], **seen)

    @contextmanager
    def tab(self, width: int = 1000, height: int = 900, *, dark: bool = False) -> Iterator[Tab]:
        """A tab to be led from page to page in a window of some size, light or dark.

        Raises:
            ServerError: The browser does not start or does not answer.
        """
        profile = TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        with profile as folder, self._opened(folder, width) as port:
            with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
                (tab,) = (one for one in json.load(answer) if one["type"] == "page")
            with connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
                tools = _DevTools(socket)
                for domain in ("Network", "Page", "Runtime", "Log"):
                    tools.ask(f"{domain}.enable")
                # A window cannot be as narrow as a telephone; a page can.
                tools.ask(
                    "Emulation.setDeviceMetricsOverride",
                    width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
                )  # fmt: skip
                scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
                tools.ask("Emulation.setEmulatedMedia", features=[scheme])
                yield Tab(tools)

    @contextmanager
    def _opened(self, folder: str, width: int) -> Iterator[int]:
        """Start the browser on an empty page; gives the port that it is led by."""
        command = [
            str(self.program),
            *FLAGS,
            f"--user-data-dir={folder}/profile",
            f"--window-size={width},900",
            "--remote-debugging-port=0",
            "about:blank",
        ]
        told = Path(folder) / "profile" / "DevToolsActivePort"
        process = subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 120
            while not (told.exists() and told.read_text().count("\n")):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ServerError(f"{self.program} does not start. {HOW_TO}")
                time.sleep(0.1)
            yield int(told.read_text().splitlines()[0])
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def views(self, files: Sequence[Path], size: tuple[int, int]) -> list[np.ndarray]:
        """Open image files as they are, side by side on a white page.

        Args:
            files: The images.
            size: (width, height) of the room that each gets, in pixels; none may need more.

        Returns:
            Of each image what is seen of it, (h, w, 3): without the white right and below.

        Raises:
            ServerError: The browser gives no picture.
        """
        width, height = size
        with TemporaryDirectory(prefix="chromium-") as folder:
            page, shot = Path(folder) / "page.html", Path(folder) / "shot.png"
            images = [
                f'<img src="{file.as_uri()}" style="left: {i * width}px">'
                for i, file in enumerate(files)
            ]
            page.write_text(STYLE + "".join(images))
            command = [
                str(self.program),
                *FLAGS,
                f"--user-data-dir={folder}/profile",
                f"--window-size={width * len(files)},{height}",
                f"--screenshot={shot}",
                page.as_uri(),
            ]
            said = _run(command, self.environment)
            if not shot.exists():
                raise ServerError(f"{self.program} took no picture:\n{said}\n{HOW_TO}")
            with Image.open(shot) as picture:
                whole = np.asarray(picture.convert("RGB"))
        return [_seen(whole[:, i * width : (i + 1) * width]) for i in range(len(files))]


class _DevTools:
    """Leads a tab; see https://chromedevtools.github.io/devtools-protocol/."""

    def __init__(self, socket: ClientConnection) -> None:
        self.events: list[dict[str, Any]] = []
        self._socket = socket
        self._numbers = count(1)

    def ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = self._next()
            if message.get("id") == number:
                if "error" in message:
                    raise ServerError(f"{method}: {message['error']}")
                return message["result"]

    def until(self, method: str) -> None:
        """Wait for an event, which may have come already."""
        while all(event["method"] != method for event in self.events):
            self._next()

    def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=60))
        if "method" in message:
            self.events.append(message)
        return message


class Tab:
    """A tab of the browser."""

    def __init__(self, tools: _DevTools) -> None:
        self._tools = tools

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._tools.events.clear()
        self._tools.ask("Page.navigate", url=url)
        self._tools.until("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives on the page; promises are waited for."""
        result = self._tools.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise ServerError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression: str, seconds: float = 60) -> None:
        """Wait until an expression is true on the page, or on the one that it leads to."""
        deadline = time.monotonic() + seconds
        while not self._is_true(expression):
            if time.monotonic() > deadline:
                raise ServerError(f"not within {seconds:.0f} s: {expression}")
            time.sleep(0.05)

    def _is_true(self, expression: str) -> bool:
        try:
            return bool(self.value(f"!!({expression})"))
        except ServerError as error:
            if "Inspected target navigated" in str(error):  # the page was left meanwhile
                return False
            raise

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if len(key) == 1 and kind == "keyDown" else {}
            self._tools.ask("Input.dispatchKeyEvent", type=kind, key=key, **text)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Take a picture of the page, as PNG or WebP; of what the window shows where not whole."""
        how = {"format": "webp", "quality": 80} if path.suffix == ".webp" else {"format": "png"}
        shot = self._tools.ask("Page.captureScreenshot", captureBeyondViewport=whole, **how)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def look(self) -> dict[str, Any]:
        """What `LOOK` sees."""
        seen: dict[str, Any] = json.loads(self.value(LOOK))
        return seen

    @property
    def errors(self) -> list[str]:
        """What the console of this page complained about."""
        found = []
        for event in self._tools.events:
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(f"{params['entry']['text']} {params['entry'].get('url')}")
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] == "error":
                found.append(str(params["args"]))
        return found

    @property
    def requests(self) -> list[str]:
        """URLs that this page asked for, data URIs aside."""
        urls = [
            event["params"]["request"]["url"]
            for event in self._tools.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]


def _seen(room: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero((room < 255).any(axis=axis)) for axis in ((1, 2), (0, 2)))
    return room[: rows[-1] + 1, : columns[-1] + 1] if rows.size else room[:0, :0]


def find_chromium() -> Chromium:
    """The installed browser, else our own copy of it.

    Raises:
        ServerError: It cannot be had; the message says what to install.
    """
    for name in PROGRAMS:
        if installed := shutil.which(name):
            return Chromium(Path(installed), dict(os.environ))
    root = DebianPackages(CACHE / "chromium", ("chromium",), HOW_TO).root()
    libraries = os.pathsep.join(str(folder) for folder in library_folders(root))
    return Chromium(
        root / "usr/lib/chromium/chromium", {**os.environ, "LD_LIBRARY_PATH": libraries}
    )


def _run(command: list[str], environment: dict[str, str], seconds: float = 120) -> str:
    """Run the browser and what it starts; the last lines it says."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise ServerError(f"{command[0]} did not end within {seconds:.0f} s. {HOW_TO}") from error
    return "\n".join(said.splitlines()[-8:])
