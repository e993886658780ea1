"""The documentation site: `make docs` lays its pages out and builds it into build/site, strictly.

Most pages are docs/ as it lies there. Those about commands, fields of plans and settings are
generated here, from the program that the site is about, so that none of them can be out of date.

The site asks no other server for anything: what draws its diagrams comes along, pinned, from npm.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer
from pydantic_core import PydanticUndefined
from typer import cli

from flows.cli.app import _register, app
from flows.service.settings import ServeSettings
from tasks.plans import sections
from tasks.settings import Settings
from tests.servers.npm import MERMAID

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

ROOT: Final = Path(__file__).parents[1]
BUILD: Final = ROOT / "build"
LINKED: Final = "benchmarks/results"
"""A folder beside docs/ that pages link to."""

SCRIPT: Final = "javascripts/mermaid.js"
"""Where the site keeps what draws its diagrams."""
DIAGRAM: Final = "```mermaid"
_ASKED: Final = re.compile(
    r"""<(?:script|img|iframe|source|video|link(?=[^>]*(?:stylesheet|preload|icon)))\b[^>]*"""
    r"""\b(?:src|href)=["']?((?:https?:)?//[^"' >]+)"""
)
"""In a page: what a browser fetches from another server as soon as it shows it."""

PLAN_TABLES: Final = (
    ("At the top", sections.PlanSection),
    ("In `[[targets]]`", sections.TargetSection),
    ("In `floor`", sections.FloorSection),
    ("In `candidates`", sections.CandidateSection),
    ("In `residual`", sections.ResidualSection),
)


def main() -> int:
    """Build the site; the exit code is that of the builder."""
    lay_out(BUILD / "docs")
    shutil.copy(ROOT / "infra" / "mkdocs.yml", BUILD)
    build = [Path(sys.executable).with_name("zensical"), "build", "--clean", "--strict"]
    done = subprocess.run(build, cwd=BUILD, check=False)  # noqa: S603 - a program of ours
    if done.returncode:
        return done.returncode
    (BUILD / "site" / SCRIPT).parent.mkdir()
    shutil.copy(MERMAID.fetched(), BUILD / "site" / SCRIPT)
    faults = foreign(BUILD / "site")
    print(*faults, sep="\n", end="\n" * bool(faults), file=sys.stderr)
    return int(bool(faults))


def lay_out(pages: Path) -> None:
    """Put all pages of the site into a folder, which is emptied first."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages)
    shutil.copytree(ROOT / LINKED, pages / LINKED)
    for page in pages.glob("*.md"):
        page.write_text(page.read_text("utf-8").replace(f"](../{LINKED}", f"]({LINKED}"), "utf-8")
    for name, text in generated().items():
        (pages / "reference").mkdir(exist_ok=True)
        (pages / "reference" / name).write_text(text, "utf-8")
    _drawn(pages)


def _drawn(pages: Path) -> None:
    """Let pages with a diagram load what draws it, before the theme would fetch it elsewhere."""
    for page in pages.rglob("*.md"):
        text = page.read_text("utf-8")
        if DIAGRAM in text:
            script = os.path.relpath(pages / SCRIPT, page.parent)
            page.write_text(f'{text}\n<script src="{script}"></script>\n', "utf-8")


def foreign(site: Path) -> list[str]:
    """What pages of a site would fetch from other servers, and diagrams that nothing draws."""
    found = []
    for page in sorted(site.rglob("*.html")):
        text = page.read_text("utf-8")
        found += [f"{page.name}: asks {address}" for address in _ASKED.findall(text)]
        if 'class="mermaid"' in text and SCRIPT not in text:
            found.append(f"{page.name}: has a diagram, but not {SCRIPT}")
    return found


def generated() -> dict[str, str]:
    """The pages that are made from the program, by their names."""
    return {
        "commands.md": commands(),
        "plan-fields.md": plan_fields(),
        "settings.md": settings(),
    }


def commands() -> str:
    """Every command with its arguments, options and examples, as typer describes them."""
    _register()
    group = typer.main.get_command(app)
    context = group.make_context("refold", ["--version"], resilient_parsing=True)
    return cli.get_docs_for_click(obj=group, ctx=context, name="refold", title="Commands")


def plan_fields() -> str:
    """Types and defaults of all that a plan file may say."""
    parts = [
        "# Fields of a plan\n",
        "What each means, and what its values may be, is in [Plans](../plans.md#fields). This page "
        "is made from the models that plan files are checked by.\n",
    ]
    for title, section in PLAN_TABLES:
        parts += [f"## {title}\n", _table(section, ("field", "type", "default"), _plan_row)]
    return "\n".join(parts)


def settings() -> str:
    """The variables of the environment."""
    parts = [
        "# Settings\n",
        "Variables of the environment. What a deployment gives as `settings` goes before them. "
        "How to choose those of a machine is in [Performance](../performance.md).\n",
        "## Of every command\n",
        _table(Settings, ("variable", "meaning"), _setting_row),
        "## Of `refold serve`\n",
        _table(ServeSettings, ("variable", "meaning"), _setting_row),
    ]
    return "\n".join(parts)


def _table(
    model: type[BaseModel],
    head: tuple[str, ...],
    row: Callable[[type[BaseModel], str], tuple[str, ...]],
) -> str:
    lines = [head, ("---",) * len(head), *(row(model, name) for name in model.model_fields)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _plan_row(model: type[BaseModel], name: str) -> tuple[str, ...]:
    field = model.model_fields[name]
    annotation = field.annotation
    kind = annotation.__name__ if type(annotation) is type else str(annotation)
    kind = kind.replace("typing.", "").replace("tasks.plans.sections.", "")
    kind = kind.replace("Any", "number | list | table")
    if field.is_required():
        default = "required"
    elif field.default is PydanticUndefined or field.default is None:
        default = ""
    else:
        default = f"`{field.default}`"
    return f"`{name}`", f"`{kind}`".replace("|", "\\|"), default


def _setting_row(model: type[BaseModel], name: str) -> tuple[str, ...]:
    prefix = str(model.model_config.get("env_prefix", ""))
    meaning = model.model_fields[name].description or ""
    return f"`{prefix}{name}`".upper(), meaning.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
