"""Running the `refold` command as a user does: in a process of its own."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Refold:
    """Runs `refold`, against the test run's Prefect server."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    @property
    def environment(self) -> Mapping[str, str]:
        """What its commands find in their environment beside that of this process."""
        return self._environment

    def within(self, environment: Mapping[str, str]) -> Refold:
        """The same, in a changed environment."""
        return Refold({**self._environment, **environment})

    def several(self, *commands: Sequence[str], timeout: float = 550) -> list[Ran]:
        """Run commands one after another in one process: it imports once for all of them.

        Without a server named in the environment, they report to one that they start together.
        """
        with TemporaryDirectory() as folder:
            process = subprocess.run(
                [sys.executable, "-m", "tests.several", folder, json.dumps(commands)],
                cwd=REPOSITORY,
                env={**os.environ, **self._environment},
                capture_output=True,
                text=True,
                timeout=timeout,
            )
            assert process.returncode == 0, f"{process.stdout}{process.stderr}"
            return [Ran(*told) for told in json.loads((Path(folder) / "told").read_text())]

    def start(self, *arguments: str, under: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a command in a process group of its own; `under` names one that runs it."""
        return subprocess.Popen(
            [*under, sys.executable, "-m", "flows.cli", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **self._environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments: str, under: Sequence[str] = (), timeout: float = 400) -> Ran:
        process = self.start(*arguments, under=under)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return Ran(process.returncode, out, err)


class RefoldHere(Refold):
    """Runs `refold` in this process: for tests that are about what a command does.

    A process of its own imports for seconds, and starts a Ray of its own. So does each worker of a
    run, unless `workers_here` has its work done in this process too.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path = REPOSITORY,
        *,
        workers_here: bool = False,
    ) -> None:
        super().__init__(environment)
        self._folder = folder
        self._workers_here = workers_here

    def within(self, environment: Mapping[str, str]) -> RefoldHere:
        return RefoldHere(
            {**self._environment, **environment}, self._folder, workers_here=self._workers_here
        )

    def __call__(self, *arguments: str, under: Sequence[str] = (), timeout: float = 400) -> Ran:
        assert not under, "a command in this process runs under nothing"
        from flows.cli import app

        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, logging_as_it_was():
            if self._workers_here:
                have_workers_here(patch)
            for name, value in self._environment.items():
                patch.setenv(name, value)
            patch.chdir(self._folder)
            variables = dict(os.environ)
            try:
                with redirect_stdout(out), redirect_stderr(err):
                    code = app.run(arguments)
            finally:  # the command sets some for the libraries that it is about to import
                os.environ.clear()
                os.environ.update(variables)
        return Ran(int(code), out.getvalue(), err.getvalue())


def have_workers_here(patch: pytest.MonkeyPatch) -> None:
    """Let runs of this process have their workers in it."""
    from tasks.cluster import workplace
    from tasks.cluster.workplace import Workplace
    from tests.small_archive import HerePool

    @contextmanager
    def pool(
        _place: Workplace, worker: Callable[..., Any], method: str, told: tuple[Any, ...], **_: Any
    ) -> Iterator[HerePool]:
        yield HerePool(getattr(worker(*told), method))

    patch.setattr(workplace, "is_small", lambda _: True)
    patch.setattr(Workplace, "pool", pool)


@contextmanager
def logging_as_it_was() -> Iterator[None]:
    """Take back what a command does to the logging of its process."""
    raises, filters = logging.raiseExceptions, [(h, h.filters[:]) for h in logging.root.handlers]
    try:
        yield
    finally:
        logging.raiseExceptions = raises
        for handler, before in filters:
            handler.filters[:] = before


def photograph(sample: str, height: int, width: int, top: int = 40, left: int = 60) -> Image.Image:
    """A crop of one of scikit-image's samples."""
    pixels = getattr(skimage.data, sample)()
    return Image.fromarray(np.ascontiguousarray(pixels[top : top + height, left : left + width]))


def write_photographs(folder: Path, count: int) -> list[str]:
    """Write real photographs of odd sizes into a folder; returns their keys, sorted."""
    keys = []
    for i in range(count):
        sample = ("chelsea", "astronaut", "coffee", "camera")[i % 4]
        key = f"roll {i % 3}/photo-{i:03}%20ü.png"
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(sample, 90 + 7 * i % 60, 110 + 11 * i % 70, 10 + 5 * i % 90).save(path)
        keys.append(key)
    return sorted(keys)
