"""What becomes of engines in a process that is forked off, such as a worker of torch's DataLoader.

Their threads stay behind in the process that made them. Whoever used an engine in the child would
wait for them forever, and so may whoever deletes one: they are put aside there, and made again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from weakref import WeakKeyDictionary

_PUT_ASIDE: Final[list[object]] = []


def made_again_in_forks(engines: WeakKeyDictionary[Any, Any]) -> None:
    """Empty these engines in every child that is forked off from now on."""

    def put_aside() -> None:
        _PUT_ASIDE.append(list(engines.items()))
        engines.clear()

    os.register_at_fork(after_in_child=put_aside)
