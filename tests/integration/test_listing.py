"""`refold ls` and `refold show`: what is asked for and nothing else, printed as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.cli.catalog import ls, show
from rescaling_core.errors import UsageError
from tasks.catalog import Archived
from tests.command import photograph
from tests.small_archive import SmallArchive

ODD = "[red]roll[/red]/:smile: a [1].png"


@pytest.fixture
def made(tmp_path: Path) -> SmallArchive:
    made = SmallArchive(f"{tmp_path}/photos", f"{tmp_path}/archive")
    path = tmp_path / "photo.png"
    for number, key in enumerate((ODD, "roll/b.png", "roll/c.png")):
        photograph("chelsea", 40, 48, 30 + number, 60).save(path)
        made.source.put(key, path.read_bytes())
    made.source.put("roll/broken.png", path.read_bytes()[:100])
    made.run("x2", "long-edge=16")
    return made


def test_keys_that_look_like_markup_are_printed_as_they_are(
    made: SmallArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    ls(made.archive_url)
    listed = capsys.readouterr().out
    assert listed.count(ODD) == 2
    assert listed.count("quarantined") == 2


def test_a_key_gives_the_terminal_no_commands(
    made: SmallArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made.source.get("roll/b.png")
    made.source.put("roll/\x1b[2Jclear\x07.png", data)
    made.source.put("roll/clear \u202egnp.exe\u2028.png", data)  # seen as "exe.png"
    made.run("x2", run_id="run-2")
    ls(made.archive_url, keys=["roll/*clear*"])
    listed = capsys.readouterr().out
    assert r"roll/\x1b[2Jclear\x07.png" in listed
    assert "\x1b[2J" not in listed
    assert r"roll/clear \u202egnp.exe\u2028.png" in listed


def test_only_the_keys_asked_for_are_listed(
    made: SmallArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    for keys, expected in ([ODD], {ODD}), (["roll/?.png"], {"roll/b.png", "roll/c.png"}):
        ls(made.archive_url, keys=keys, where="target = 'x2'", json=True)
        records = json.loads(capsys.readouterr().out)
        assert {record["source_key"] for record in records} == expected
        assert len(records) == len(expected)


def test_show_tells_all_of_one_source_or_the_totals(
    made: SmallArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    show(made.archive_url, ODD, json=True)
    records = json.loads(capsys.readouterr().out)
    assert [record["source_key"] for record in records] == [ODD, ODD]
    assert all(record["restoration_metadata"] for record in records)
    with pytest.raises(UsageError, match="not in the catalog"):
        show(made.archive_url, "roll/", json=True)
    show(made.archive_url, json=True)
    totals = json.loads(capsys.readouterr().out)
    rows = made.rows()
    assert totals["sources"] == 4
    assert totals["renditions"] == {"archived": 6, "kept": 0, "quarantined": 2}
    assert totals["targets"] == ["long-edge=16", "x2"]
    assert totals["stored_bytes"] == sum(row.lr_bytes for row in rows if isinstance(row, Archived))
    archived = {row.source_key: row.source_size for row in rows if row.state == "archived"}
    assert totals["source_bytes"] == sum(archived.values())
