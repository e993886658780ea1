"""Signals before a command has begun its work, at moments that are the same every time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flows.cli.exits import Exit
from tests.command import REPOSITORY

STRUCK = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Strikes(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.{name})

sys.meta_path.insert(0, Strikes())
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["refold", "models", "list"]
from flows.cli import main
main()
"""
"""The command, which is sent a signal when it imports a module."""


@pytest.mark.parametrize(
    ("module", "name", "code"),
    [
        ("tasks.control.progress", "SIGHUP", Exit.HANGUP),  # before it listens to them itself
        ("tasks.control.progress", "SIGINT", Exit.INTERRUPTED),
        ("tasks.control.progress", "SIGTERM", Exit.TERMINATED),
        ("flows.cli.maintain", "SIGHUP", Exit.HANGUP),  # soon after
        ("flows.cli.maintain", "SIGINT", Exit.INTERRUPTED),
    ],
)
def test_a_command_told_to_end_while_it_starts_says_so(module: str, name: str, code: Exit) -> None:
    """It showed where an import was, or said nothing and left with the code of another signal."""
    ran = subprocess.run(
        [sys.executable, "-c", STRUCK.format(module=module, name=name)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == code, ran.stderr
    assert ran.stderr.startswith(f"refold: ended by {name}")
    assert ran.stderr.count("\n") == 1, ran.stderr
