"""What tests of commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tasks.cluster import workplace
from tasks.cluster.workplace import Workplace
from tests.small_archive import HerePool


@pytest.fixture
def workers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this process have their workers in it too: a worker of its own imports for seconds.

    Commands that are processes of their own are not affected.
    """

    @contextmanager
    def pool(
        _place: Workplace, worker: Callable[..., Any], method: str, told: tuple[Any, ...], **_: Any
    ) -> Iterator[HerePool]:
        yield HerePool(getattr(worker(*told), method))

    monkeypatch.setattr(workplace, "is_small", lambda _: True)
    monkeypatch.setattr(Workplace, "pool", pool)
