"""A flow that Python or a deployment calls refuses what its command refuses, before any work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.archive import archive
from flows.backfill import backfill
from flows.maintain import maintain
from flows.rebuild import rebuild
from flows.report import report
from flows.restore import restore
from flows.retire import retire
from flows.scrub import scrub
from rescaling_core.errors import UsageError
from tasks.collection.listing import Selection
from tasks.plans.options import PlanOptions
from tests.small_archive import SmallArchive, small_archive

pytestmark = pytest.mark.slow

NOTHING = Selection(include=("",))

REFUSED: tuple[tuple[Callable[..., Any], dict[str, Any], str], ...] = (
    (archive, {"source": "{photos}", "archive": "{new}", "selection": NOTHING}, "empty glob"),
    (archive, {"source": "{photos}/nowhere", "archive": "{new}"}, "nowhere"),
    (archive, {"source": "{photos}", "archive": "s3:/b/x"}, "s3:/b/x"),
    (archive, {"source": "{photos}", "archive": "{photos}/in"}, "inside"),
    (
        archive,
        {"source": "{photos}", "archive": "{new}", "options": PlanOptions(targets=("x",))},
        "target 'x'",
    ),
    (backfill, {"archive": "{archive}", "source": "{photos}/nowhere"}, "nowhere"),
    (maintain, {"archive": "{archive}", "grace": "1m"}, "1m"),
    (maintain, {"archive": "{new}"}, "no archive there"),
    (rebuild, {"archive": "{new}"}, "new"),
    (report, {"archive": "{archive}", "worst": -1}, "-1"),
    (report, {"archive": "{archive}", "output": "{new}/a/page.html"}, "no folder"),
    (restore, {"archive": "{archive}", "dest": "{new}", "where": "no sql"}, "no sql"),
    (restore, {"archive": "{archive}", "dest": "{new}", "target": "long-edge=64"}, "preview"),
    (
        retire,
        {"source": "{photos}", "archive": "{archive}", "selection": NOTHING, "dry_run": False},
        "empty glob",
    ),
    (retire, {"source": "{photos}", "archive": "{archive}", "older_than": "soon"}, "soon"),
    (scrub, {"archive": "{archive}", "sample": 2.0}, "2"),
    (scrub, {"archive": "{archive}", "repair_from": "{photos}/nowhere"}, "nowhere"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    root = tmp_path_factory.mktemp("refused")
    return small_archive(str(root), root, count=1)


@pytest.mark.parametrize(
    ("flow", "asked", "said"), REFUSED, ids=[f"{one[0].__name__}-{one[2]}" for one in REFUSED]
)
def test_a_flow_refuses_in_one_line_and_begins_nothing(
    made: SmallArchive,
    tmp_path: Path,
    prefect_server: str,
    flow: Callable[..., Any],
    asked: Mapping[str, Any],
    said: str,
) -> None:
    """`archive` had made the archive by the time that it looked at the globs."""
    places = {
        "photos": made.source_url,
        "archive": made.archive_url,
        "new": str(tmp_path / "new"),
    }
    before = _files(Path(made.archive_url).parent, tmp_path)
    told = {
        name: value.format(**places) if isinstance(value, str) else value
        for name, value in asked.items()
    }
    with pytest.raises(UsageError, match=said) as caught:
        flow(**told)
    assert "\n" not in str(caught.value)
    assert _files(Path(made.archive_url).parent, tmp_path) == before


def _files(*folders: Path) -> set[tuple[str, int]]:
    """All that lies there, with its size."""
    return {
        (str(path), path.lstat().st_size if path.is_file() else 0)
        for folder in folders
        for path in folder.rglob("*")
    }
