"""The pages for operators: every command is one that there is, every link leads somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.command import REPOSITORY
from tests.unit.infra.commands import refuse_unknown

DOCS = REPOSITORY / "docs"
PAGES = [
    *sorted((DOCS / "operations").glob("*.md")),
    *sorted((DOCS / "start").glob("*.md")),
    *sorted((DOCS / "how-to").glob("*.md")),
    *(DOCS / f"{name}.md" for name in ("index", "concepts", "errors", "faq", "glossary", "json")),
    DOCS / "operations.md",
    DOCS / "upgrade.md",
    DOCS / "kubernetes.md",
]


def _ids(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def _blocks(text: str) -> list[str]:
    return re.findall(r"^ *```\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def _is_synopsis(line: str) -> bool:
    """Whether it shows what a command takes, rather than how it is called."""
    return bool(re.search(r"[\[\]…]", line))


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_every_command_is_one_that_there_is(page: Path) -> None:
    for block in _blocks(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.strip()
            if words.startswith("refold ") and not _is_synopsis(words):
                refuse_unknown(shlex.split(words, comments=True))
            elif words.startswith("make "):
                target = words.split()[1]
                assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), re.M)
            elif words.startswith("python infra/"):
                assert (REPOSITORY / words.split()[1]).exists()


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in slugs, f"{target}: {sorted(slugs)}"


@pytest.mark.parametrize("deployment", re.findall(
    r"^\| `(\w+/[\w-]+)`", (DOCS / "operations" / "schedule.md").read_text(), re.MULTILINE
))  # fmt: skip
def test_the_page_about_schedules_names_deployments_that_there_are(deployment: str) -> None:
    flow, name = deployment.split("/")
    text = (REPOSITORY / "infra" / "prefect.yaml").read_text()
    assert re.search(
        rf"- name: {name}\n    description: .*\n    entrypoint: flows/{flow}\.py:", text
    )
