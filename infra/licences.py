"""Print the licences of everything that an installed Refold needs to run, as Markdown.

python infra/licences.py > docs/licences.md
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("azure", "gcs", "heic", "jxl", "kubernetes", "obstore", "openvino", "otel", "serve")
"""Of Refold: what its users install besides. Those for its developers are not listed."""

STATED_ELSEWHERE = {
    # Packages whose metadata are silent; their licence files were read.
    "antlr4-python3-runtime": "BSD-3-Clause",
    "protobuf": "BSD-3-Clause",
    "ray": "Apache-2.0",
}

HEAD = """# Licences

What an installed Refold needs to run, with the extras for its users, at the versions that
`infra/constraints.txt` pins and as each package states its licence itself. Written by
`python infra/licences.py`; a test compares the two. `make sbom` writes the same and more, with
versions and the developers' tools, as CycloneDX.

Refold itself is under Apache-2.0. One package here is not permissive: `pillow-jxl-plugin`, under
the GPL, which the extra `jxl` installs. Refold runs without it; whoever passes on an image or a
bundle with it passes that on under the GPL's terms. `certifi`, `orjson` and `pathspec` are under
the MPL, which asks for the source of changes to those files alone; `text-unidecode`, which the
client of Prefect needs, lets one choose between the Artistic License and the GPL.

| package | licence |
| --- | --- |"""


def asked() -> list[Requirement]:
    """What pyproject.toml asks for, with the extras for users."""
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    project = tomllib.loads(pyproject.read_text())["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *(text for name in EXTRAS for text in extras.get(name, ()))]
    return [Requirement(text) for text in texts]


def closure(todo: list[Requirement]) -> dict[str, Distribution]:
    """The packages asked for, and those that they need, by their canonical name.

    One that is not installed is left out.
    """
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for extra in {"", *requirement.extras} - {known for one, known in seen if one == name}:
            seen.add((name, extra))
            needed = [Requirement(text) for text in found[name].requires or ()]
            todo += [
                one for one in needed if one.marker is None or one.marker.evaluate({"extra": extra})
            ]
    return found


def licence(package: Distribution) -> str:
    """What a package states, in as few words as it has: an SPDX expression where there is one."""
    told = package.metadata
    if expression := told.get("License-Expression"):
        return str(expression)
    classified = [
        one.rsplit(" :: ", 1)[1]
        for one in told.get_all("Classifier") or ()
        if one.startswith("License :: ") and one != "License :: OSI Approved"
    ]
    short = re.sub(r"\s+", " ", told.get("License") or "").strip()
    if short and len(short) <= 40:
        return short
    name = canonicalize_name(told["Name"])
    return STATED_ELSEWHERE.get(name) or " and ".join(sorted(classified)) or "not stated"


def table() -> str:
    """The whole page."""
    packages = sorted(closure(asked()).items())
    lines = [f"| {one.metadata['Name']} | {licence(one)} |" for _, one in packages]
    return "\n".join((HEAD, *lines))


if __name__ == "__main__":
    print(table())
