"""What one bad source does to the others of its shard."""

from __future__ import annotations

from pathlib import Path

import pytest

import tasks.jobs.archive.worker
from rescaling_core.errors import CodecError, RestorationMismatchError
from tests.small_archive import small_archive


@pytest.mark.parametrize("error", [CodecError, RestorationMismatchError])
def test_a_source_that_does_not_come_back_as_measured_leaves_its_neighbours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    honest = tasks.jobs.archive.worker.convert

    def convert(photo, source, *arguments, **options):
        if source.key.endswith("photo 1.png"):
            raise error("x2: the encoder gave other pixels than before")
        return honest(photo, source, *arguments, **options)

    monkeypatch.setattr(tasks.jobs.archive.worker, "convert", convert)
    rows = {row.source_key: row for row in small_archive(str(tmp_path), tmp_path).rows()}
    states = {key: row.state for key, row in rows.items()}
    assert states == {
        "roll 0/photo 0.png": "archived",
        "roll 1/photo 1.png": "quarantined",
        "roll 0/photo 2.png": "archived",
    }
    assert "the encoder gave other pixels" in (rows["roll 1/photo 1.png"].reason or "")
