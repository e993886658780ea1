"""Headless Chromium, which says how a viewer sees an image file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

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


@dataclass(frozen=True)
class Chromium:
    """A browser that takes pictures."""

    program: Path
    environment: dict[str, str]

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
