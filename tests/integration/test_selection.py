"""Which sources an archive run takes up: globs, and those in quarantine."""

from __future__ import annotations

from pathlib import Path

import pytest

from rescaling_core.errors import UsageError
from tasks.collection.listing import Selection
from tasks.jobs.archive.steps import find_pending
from tasks.plans.options import PlanOptions, build_plan
from tests.command import RefoldHere
from tests.small_archive import SmallArchive, copied, small_archive


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    small_archive(str(root), root, 2)
    return root


@pytest.fixture
def made(template: Path, tmp_path: Path) -> SmallArchive:
    return copied(template, tmp_path)


def _states(made: SmallArchive) -> dict[str, str]:
    return {row.source_key: row.state for row in made.rows()}


def test_quarantined_sources_are_tried_again_when_asked_for(made: SmallArchive) -> None:
    photo = made.source.get("roll 0/photo 0.png")
    made.source.put("large.png", photo)
    made.source.put("broken.png", photo[:200])
    made.run("x2", max_pixels=100, run_id="run-2")
    assert _states(made)["large.png"] == _states(made)["broken.png"] == "quarantined"
    made.run("x2", run_id="run-3")  # its limit is another, so what that refused is tried again
    before = {row.source_key: row for row in made.rows()}
    assert (before["large.png"].state, before["large.png"].run_id) == ("archived", "run-3")
    assert (before["broken.png"].state, before["broken.png"].run_id) == ("quarantined", "run-2")

    made.run("x2", run_id="run-4", selection=Selection(retry_quarantined=True))
    after = {row.source_key: row for row in made.rows()}
    assert len(after) == len(made.rows()) == 4
    assert after == before  # the broken one was tried again and is as broken as it was


def test_globs_choose_among_what_is_pending(made: SmallArchive) -> None:
    photo = made.source.get("roll 0/photo 0.png")
    for key in ("new/a.png", "new/deep/b.png", "new/c.tif", "other.png"):
        made.source.put(key, photo)
    plan = build_plan(PlanOptions(targets=("x2",)))

    def pending(**globs: tuple[str, ...]) -> list[str]:
        found = find_pending.fn(made.source, made.catalog, plan, Selection(**globs))
        return [key for batch in found.batches for key in batch.column("key").to_pylist()]

    assert pending(include=("new/*",)) == ["new/a.png", "new/c.tif", "new/deep/b.png"]
    assert pending(include=("new/*",), exclude=("*.tif",)) == ["new/a.png", "new/deep/b.png"]
    assert pending(exclude=("new/*",)) == ["other.png"]
    assert pending(include=("nothing",)) == []
    with pytest.raises(UsageError, match="empty glob"):
        pending(include=("",))


@pytest.mark.slow
def test_the_command_passes_the_selection_on(made: SmallArchive, all_here: RefoldHere) -> None:
    photo = made.source.get("roll 0/photo 0.png")
    made.source.put("broken.png", photo[:200])
    made.source.put("passed over.tif", photo)
    made.run("x2", run_id="run-2", selection=Selection(exclude=("*.tif",)))
    arguments = ("archive", made.source_url, made.archive_url, "--target", "x2")
    arguments += ("--exclude", "*.tif", "--json")
    ran = all_here(*arguments, "--retry-quarantined")
    assert ran.code == 3, ran.err
    assert (ran.json["listed"], ran.json["unchanged"], ran.json["quarantined"]) == (3, 2, 1)
    run = made.catalog.runs()[-1]
    assert '"retry_quarantined": true' in run.parameters_json
    assert "passed over.tif" not in _states(made)
