"""Programs from Debian's packages, unpacked beside the tests: nothing is installed."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import ServerError

CACHE = Path(__file__).parents[2] / ".cache"


@dataclass(frozen=True)
class DebianPackages:
    """Packages of Debian or Ubuntu, and those they need that this system lacks."""

    folder: Path
    """Where they are kept from one test run to the next."""
    names: tuple[str, ...]
    how_to: str
    """What to do where they cannot be had; every error ends with it."""

    def root(self) -> Path:
        """The folder that they are unpacked in; the first call fetches them.

        Raises:
            ServerError: They cannot be had.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        root, complete = self.folder / "root", self.folder / "complete"
        with _locked(self.folder / "lock"):
            if not complete.exists():
                shutil.rmtree(root, ignore_errors=True)
                for package in self._download():
                    self._run("dpkg", "--extract", str(package), str(root))
                shutil.rmtree(self.folder / "archives")
                complete.touch()
        return root

    def _download(self) -> list[Path]:
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            raise ServerError(f"apt-get and dpkg are not here. {self.how_to}")
        archives = self.folder / "archives"
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        options = [
            f"-oDir::Cache={self.folder}",
            f"-oDir::Cache::archives={archives}",
            "-oDebug::NoLocking=true",  # only a download: needs no right to install
            f"-oAPT::Sandbox::User={'root' if os.geteuid() == 0 else ''}",
        ]
        install = ["install", "--yes", "--download-only", "--no-install-recommends", *self.names]
        try:
            self._run("apt-get", *options, *install)
        except ServerError:  # no package lists, or old ones: fetch our own
            (self.folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
            options.append(f"-oDir::State::lists={self.folder / 'lists'}")
            self._run("apt-get", *options, "update")
            self._run("apt-get", *options, *install)
        return sorted(archives.glob("*.deb"))

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
            raise ServerError(f"{command[0]} failed: {reason}\n{self.how_to}")


def library_folders(root: Path) -> list[Path]:
    """Where the shared libraries of unpacked packages lie; some keep theirs a level down."""
    folders = [
        folder for base in ("usr/lib", "lib") for folder in (root / base).glob("*-linux-gnu*")
    ]
    below = [found.parent for folder in folders for found in folder.glob("*/lib*.so*")]
    return list(dict.fromkeys(folders + sorted(below)))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one test run at a time unpack."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
