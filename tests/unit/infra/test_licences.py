"""The page of licences names what is installed, with what each package states."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from tests.command import REPOSITORY


@pytest.fixture(scope="module")
def licences() -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "infra" / "licences.py"))


def test_every_package_that_runs_with_refold_has_its_licence_on_the_page(
    licences: dict[str, Any],
) -> None:
    written = (REPOSITORY / "docs" / "licences.md").read_text().splitlines()
    missing = [line for line in licences["table"]().splitlines() if line not in written]
    assert missing == [], "run: python infra/licences.py > docs/licences.md"


def test_what_is_under_the_gpl_is_said_in_words(licences: dict[str, Any]) -> None:
    page = (REPOSITORY / "docs" / "licences.md").read_text()
    words, rows = page.split("| --- | --- |")
    for row in rows.splitlines():
        if "GPL" in row or "not stated" in row:
            assert f"`{row.split(' | ')[0].removeprefix('| ')}`" in words
