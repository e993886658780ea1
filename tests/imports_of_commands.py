"""What the `refold` command imports, and what each of its commands imports besides, as JSON.

    python -m tests.imports_of_commands PACKAGE...

This process imports what `refold --help` does. Then it is forked for each command: the copy does
what the command's functions import late, first all but flows, which is what a command needs that
has nothing to do or is refused, then the flows. Refold's own modules are read afresh in each copy;
the packages that are named were imported before, because torch and Prefect take seconds, and count
where one of the modules read asks for them.
"""

from __future__ import annotations

import ast
import builtins
import gc
import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any

OWN = {"flows", "tasks", "rescaling_core"}


def packages_here() -> set[str]:
    """Packages of others that this process has imported."""
    tops = {name.partition(".")[0] for name in list(sys.modules)}
    return {top for top in tops - OWN - set(sys.stdlib_module_names) if not top.startswith("_")}


def late_imports(module: ModuleType) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The modules that functions of a module import, and the names that they take of each."""
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module, tuple(one.name for one in node.names)
                elif isinstance(node, ast.Import):
                    yield from ((one.name, ()) for one in node.names)


def is_flow(name: str) -> bool:
    """Whether a module is one of flows, or of the service."""
    return name == "flows" or (name.startswith("flows.") and not name.startswith("flows.cli"))


def imported_by(module: ModuleType, before: set[str]) -> dict[str, list[str]]:
    """What the late imports of a command's module import, without its flows and for its flows."""
    asked: set[str] = set()
    really = builtins.__import__

    def noting(name: str, *arguments: Any) -> ModuleType:
        if not (len(arguments) > 3 and arguments[3]):  # else it is relative: of the same package
            asked.add(name.partition(".")[0])
        return really(name, *arguments)

    builtins.__import__ = noting
    here = packages_here()
    told: dict[str, list[str]] = {}
    late = dict.fromkeys(late_imports(module))
    for stage in ("alone", "flow"):
        for name, taken in late:
            if is_flow(name) is (stage == "flow"):
                __import__(name, {}, {}, taken)
        found = (asked | (packages_here() - here)) - OWN - set(sys.stdlib_module_names) - before
        told[stage] = sorted(found - set(told.get("alone", ())))
    return told


def main() -> None:
    """Print what is imported."""
    from flows.cli import app

    app._register()
    before = packages_here()
    print(json.dumps({"command": "refold", "alone": sorted(before), "flow": []}), flush=True)
    modules = {one.callback.__module__ for one in app.app.registered_commands if one.callback}
    groups = {one.typer_instance for one in app.app.registered_groups}
    for group in groups:
        if group is not None:
            modules |= {c.callback.__module__ for c in group.registered_commands if c.callback}
    gc.disable()  # a third of the time of so many imports
    for package in sys.argv[1:]:
        importlib.import_module(package)
    for name in sorted(modules):
        copy = os.fork()
        if not copy:
            try:
                told = imported_by(sys.modules[name], before)
                print(json.dumps({"command": name.rpartition(".")[2], **told}), flush=True)
            except BaseException:  # noqa: BLE001 - the copy must not go on with the parent's loop
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if os.waitpid(copy, 0)[1]:
            raise SystemExit(f"{name}: see above")


if __name__ == "__main__":
    main()
