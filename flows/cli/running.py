"""Running a flow from the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from functools import update_wrapper
from typing import Any, ParamSpec, TypeVar, cast

from flows.cli.console import Mode, err, one_line, progress_bar
from rescaling_core.errors import RefoldError

P = ParamSpec("P")
R = TypeVar("R")


def run_flow(title: str, flow: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a flow with a progress bar, and return what it came to.

    What a flow did is done, whether or not Prefect can be told: should its server be gone by then,
    that is a warning.

    Args:
        title: Of the progress bar.
        flow: A Prefect flow.
        *args: Its own.
        **kwargs: Its own.

    Raises:
        ServerStartError: Prefect's server does not start.
        ServerUnreachableError: The one that is named cannot be told that a run begins.
    """
    from tasks.control.server import ServerUnreachableError, is_unreachable, prefect_server

    if Mode.places is not None and Mode.places.warning is not None:
        err.print(f"refold: warning: {Mode.places.warning}")
    begun = False
    outcome: list[R] = []

    def begin() -> None:
        nonlocal begun
        begun = True

    observed = _observed(flow, outcome.append, begin)
    with progress_bar(title):
        try:
            with prefect_server():
                return observed(*args, **kwargs)
        except Exception as error:
            reason = one_line(f"{type(error).__name__}: {error}")
            if not begun and is_unreachable(error):
                raise ServerUnreachableError(
                    f"Prefect's server could not be told of the run; nothing was begun: {reason}; "
                    "is it up? PREFECT_API_URL names it, and without that variable a command "
                    "starts one of its own"
                ) from error
            if isinstance(error, RefoldError) or not outcome:
                raise
            err.print(f"refold: warning: all is done, but Prefect was not told so: {reason}")
            return outcome[0]


def _observed(
    flow: Callable[P, R],
    observer: Callable[[R], None],
    begin: Callable[[], None] = lambda: None,
) -> Callable[P, R]:
    """The flow, with its result told to `observer` before Prefect hears of it.

    Args:
        flow: A Prefect flow; it is copied.
        observer: Is given the result.
        begin: Is called once Prefect has let the run begin.
    """
    observed = cast(Any, copy(flow))
    body = observed.fn

    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        begin()
        result: R = body(*args, **kwargs)
        observer(result)
        return result

    # Prefect reads parameters and their types off the function, and names the run by it.
    update_wrapper(told, body)
    vars(told).pop("__wrapped__")  # else they are read off the body, as texts
    signature = inspect.signature(body, eval_str=True)
    told.__annotations__ = inspect.get_annotations(body, eval_str=True)
    told.__signature__ = signature  # type: ignore[attr-defined]
    observed.fn = told
    return cast(Callable[P, R], observed)
