"""The site's generated pages say what the program says, and the page of errors has every error."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import get_args

from flows.cli.catalog import LISTED
from flows.results import DryRun, RunSummary
from infra import docs
from tasks.jobs.doctor.checks import Finding
from tasks.jobs.restore.requests import NotRestored
from tasks.jobs.retire import actions
from tasks.jobs.retire.decisions import Ground
from tasks.settings import Settings
from tests.command import REPOSITORY

CLASS = re.compile(r"^class (\w+Error)\((.*)\):", re.MULTILINE)


def _deliberate() -> set[str]:
    """The errors that derive from `RefoldError`, from the text of the rooms that raise them."""
    bases = {
        name: set(re.findall(r"\w+", parents))
        for room in ("rescaling_core", "tasks")
        for path in (REPOSITORY / room).rglob("*.py")
        for name, parents in CLASS.findall(path.read_text("utf-8"))
    }
    found = {"RefoldError"}
    while more := {name for name, parents in bases.items() if parents & found} - found:
        found |= more
    return found


def test_every_error_has_its_part_of_the_page_and_no_other_has() -> None:
    told = re.findall(r"^### (\w+)$", (REPOSITORY / "docs" / "errors.md").read_text(), re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == _deliberate()


def test_the_generated_pages_have_every_command_setting_and_field() -> None:
    pages = docs.generated()
    assert "## `refold archive`" in pages["commands.md"]
    assert "--dry-run" in pages["commands.md"]
    for name in Settings.model_fields:
        assert f"`REFOLD_{name.upper()}`" in pages["settings.md"]
    assert "| `rescaler` | `str` | required |" in pages["plan-fields.md"]


def test_the_page_about_operations_has_every_reason_why_a_source_stays() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    cold, _, _ = actions.COLD.partition(":")
    reasons = (*get_args(Ground), actions.LOCKED, actions.NOT_PERMITTED, actions.NOT_MOVABLE, cold)
    assert [reason for reason in reasons if f"`{reason}`" not in page] == []


def test_every_page_stands_in_the_navigation() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (REPOSITORY / "infra" / "mkdocs.yml").read_text()))
    folder = REPOSITORY / "docs"
    assert listed == {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}


def test_the_page_about_json_names_what_programs_rely_on() -> None:
    page = (REPOSITORY / "docs" / "json.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE))
    wanted = {
        "ls": LISTED,
        "archive": [field.name for field in (*fields(DryRun), *fields(RunSummary))],
        "doctor": [field.name for field in fields(Finding)],
        "restore": [field.name for field in fields(NotRestored)],
    }
    for command, names in wanted.items():
        assert [name for name in names if f"`{name}`" not in rows[command]] == []
