"""Put on PYTHONPATH by the fault tests: makes a run die, or its world misbehave, at a chosen step.

REFOLD_SABOTAGE=kill:before:put:2  the run is killed before it writes a second LR object or pack.
REFOLD_SABOTAGE=worker:after:read:1  only the worker process dies, after its first read.
REFOLD_SABOTAGE=clock:after:commit:1  from its first commit on, the driver's clock is a day behind.

Steps are those of STEPS. Nothing in the product knows of this: functions are wrapped as their
modules are imported, in the driver and in the workers, which inherit the environment.
"""

import os
import signal
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import wrapt

STEPS = {
    "list": ("tasks.collection.access", "sources_of"),
    "plan": ("tasks.jobs.archive.steps", "shards_of"),
    "read": ("tasks.storage.local", "LocalStore.get_version"),
    "encode": ("rescaling_core.codecs", "encode"),
    "put": ("tasks.storage.local", "LocalStore.put_new"),
    "commit": ("tasks.catalog.table", "Catalog.commit_shards"),
    "move": ("tasks.catalog.table", "Catalog.move_files"),
    "record": ("tasks.control.record", "write_run"),
    "settle": ("tasks.jobs.retire.actions", "settle"),
}
CLOCKS = (
    "tasks.catalog.table",
    "tasks.control.record",
    "tasks.control.run",
    "tasks.jobs.retire.actions",
)


def strike(what: str) -> None:
    """Do it once, however many processes come here."""
    try:
        Path(os.environ["REFOLD_SABOTAGE_MARK"]).touch(exist_ok=False)
    except FileExistsError:
        return
    if what == "clock":
        turn_back_clocks()
        return
    if what == "wait":
        time.sleep(600)
        return
    if what == "kill":
        os.kill(int(os.environ["REFOLD_SABOTAGE_DRIVER"]), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def turn_back_clocks() -> None:
    class Yesterday(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(days=1)

    for name in CLOCKS:
        if name in sys.modules:
            sys.modules[name].datetime = Yesterday


def arm(order: str) -> None:
    what, when, step, number = order.split(":")
    module, attribute = STEPS[step]
    calls = 0

    def counts(arguments) -> bool:
        """Whether a call is of the step: stores are also written to by probes and journals."""
        return step != "put" or arguments[0].startswith(("renditions/", "packs/"))

    def wrapper(wrapped, _instance, arguments, keywords):
        nonlocal calls
        calls += counts(arguments)
        struck = counts(arguments) and calls == int(number)
        if struck and when == "before":
            strike(what)
        result = wrapped(*arguments, **keywords)
        if not struck or when == "before":
            return result
        if step == "list":
            return followed_by(result, what)
        strike(what)
        return result

    @wrapt.when_imported(module)
    def wrap(imported) -> None:
        wrapt.wrap_function_wrapper(imported, attribute, wrapper)


def followed_by(items, what):
    """A listing that strikes when it is through."""
    yield from items
    strike(what)


if "REFOLD_SABOTAGE" in os.environ:
    os.environ.setdefault("REFOLD_SABOTAGE_DRIVER", str(os.getpid()))
    arm(os.environ["REFOLD_SABOTAGE"])
