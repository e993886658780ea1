"""What tests of commands share."""

from __future__ import annotations

import pytest

from tests.command import have_workers_here


@pytest.fixture
def workers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this process have their workers in it too: a worker of its own imports for seconds.

    Commands that are processes of their own are not affected.
    """
    have_workers_here(monkeypatch)
