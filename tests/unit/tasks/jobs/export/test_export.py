"""Images of an archive as tar shards and as files."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flows.cli.exits import Exit
from rescaling_core.errors import UsageError
from tasks.catalog import Archived, open_catalog
from tasks.jobs.export.check import Request, check
from tasks.jobs.export.items import member_name
from tasks.jobs.export.marker import MARKER
from tasks.jobs.export.work import METADATA, export
from tasks.renditions.archive import Archive
from tasks.storage import open_store
from tests.command import RefoldHere
from tests.every_rescaler import EveryRescaler


def rows_of(url: str) -> dict[str, Archived]:
    rows = open_catalog(open_store(url)).rows()
    return {row.source_key: row for row in rows if isinstance(row, Archived)}


def files_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_shards_are_read_by_webdataset_and_unpacked_by_tar(
    every_rescaler: EveryRescaler, tmp_path: Path
) -> None:
    dest = tmp_path / "shards"
    request = Request(
        archive=every_rescaler.url, dest=str(dest), layout="webdataset", shard_mb=1, size="hr"
    )
    done = export(request)
    shards = sorted(map(str, dest.glob("*.tar")))
    assert done.shards == len(shards) >= 1
    assert not done.failures
    archive, seen = Archive(every_rescaler.url), {}
    samples: Any = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)
    for sample in samples:
        facts = json.loads(sample["json"])
        seen[facts["key"]] = sample
        assert sample["__key__"] == member_name(facts["key"])
    restorable = {row.source_key for row in rows_of(every_rescaler.url).values() if row.psnr_y}
    assert seen.keys() == restorable
    own = {key: sample["jpg"] for key, sample in seen.items() if "jpg" in sample}
    for key, data in own.items():
        assert data == open_store(every_rescaler.sources_url).get(key)
    assert own
    key = next(key for key in seen if key not in own)
    with Image.open(io.BytesIO(seen[key]["png"])) as image:
        assert image.size == (archive.row(key).width, archive.row(key).height)  # type: ignore[union-attr]
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    for shard in shards:
        subprocess.run(["tar", "xf", shard, "-C", str(unpacked)], check=True)
    assert len(list(unpacked.rglob("*.json"))) == len(restorable)


def test_shards_are_bounded_and_the_same_again(
    every_rescaler: EveryRescaler, tmp_path: Path
) -> None:
    request = Request(archive=every_rescaler.url, dest=str(tmp_path / "a"), layout="webdataset")
    export(request)
    other = Request(archive=every_rescaler.url, dest=str(tmp_path / "b"), layout="webdataset")
    export(other)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    small = Request(
        archive=every_rescaler.url, dest=str(tmp_path / "c"), layout="webdataset", shard_mb=1,
        size="hr",
    )  # fmt: skip
    export(small)
    assert all(len(data) <= 1_000_000 for data in files_of(tmp_path / "c").values())


def test_files_lie_under_their_keys_byte_for_byte(
    every_rescaler: EveryRescaler, tmp_path: Path
) -> None:
    done = export(Request(archive=every_rescaler.url, dest=str(tmp_path / "lr"), layout="hf"))
    files, store = files_of(tmp_path / "lr"), open_store(every_rescaler.url)
    rows = rows_of(every_rescaler.url)
    lines = [json.loads(line) for line in files.pop(METADATA).splitlines()]
    assert {line["key"] for line in lines} == rows.keys()
    assert files == {line["file_name"]: store.get(rows[line["key"]].lr_key) for line in lines}
    assert all(line["file_name"].startswith(line["key"]) for line in lines)
    assert done.exported == len(rows) == len(lines)


@pytest.mark.parametrize("layout", ["webdataset", "folder", "hf"])
def test_one_bad_object_stops_none_of_the_others_and_is_tried_again(
    every_rescaler: EveryRescaler, tmp_path: Path, layout: Any
) -> None:
    url = str(tmp_path / "archive")
    shutil.copytree(every_rescaler.url, url)
    rows = list(rows_of(url).values())
    damaged, gone = Path(url) / rows[1].lr_key, Path(url) / rows[3].lr_key
    sound = damaged.read_bytes(), gone.read_bytes()
    damaged.chmod(0o644)
    damaged.write_bytes(b"x" + sound[0][1:])
    gone.unlink()
    request = Request(archive=url, dest=str(tmp_path / "out"), layout=layout)
    done = export(request)
    assert done.failures.keys() == {rows[1].source_key, rows[3].source_key}
    assert done.exported == len(rows) - 2
    before = files_of(tmp_path / "out")
    again = export(request)
    assert again.failures == done.failures
    assert files_of(tmp_path / "out") == before
    damaged.write_bytes(sound[0])
    gone.write_bytes(sound[1])
    mended = export(request)
    assert not mended.failures
    assert mended.exported + mended.there_before == len(rows)
    whole = Request(archive=url, dest=str(tmp_path / "whole"), layout=layout)
    export(whole)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("layout", ["webdataset", "folder"])
def test_what_was_interrupted_goes_on(
    every_rescaler: EveryRescaler, tmp_path: Path, layout: Any
) -> None:
    request = Request(archive=every_rescaler.url, dest=str(tmp_path), layout=layout)
    first = export(request)
    whole = files_of(tmp_path)
    for name in list(whole)[::2]:
        (tmp_path / name).unlink()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    second = export(request)
    assert files_of(tmp_path) == whole
    assert second.exported + second.there_before == first.exported
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_exports_are_not_mixed(every_rescaler: EveryRescaler, tmp_path: Path) -> None:
    url = every_rescaler.url
    export(Request(archive=url, dest=str(tmp_path / "out"), layout="folder"))
    for other in (
        Request(archive=url, dest=str(tmp_path / "out"), layout="hf"),
        Request(archive=url, dest=str(tmp_path / "out"), layout="folder", size="hr"),
        Request(archive=url, dest=str(tmp_path / "out"), layout="folder", where="psnr_y > 35"),
    ):
        with pytest.raises(UsageError, match="another export"):
            export(other)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"letter\.txt lies there"):
        export(Request(archive=url, dest=str(tmp_path / "mine"), layout="folder"))
    with pytest.raises(UsageError, match="inside the archive"):
        check(Request(archive=url, dest=f"{url}/export", layout="folder"))
    with pytest.raises(UsageError, match="0 MB"):
        check(Request(archive=url, dest=str(tmp_path), layout="webdataset", shard_mb=0))
    with pytest.raises(UsageError, match="nothing to export"):
        export(Request(archive=url, dest=str(tmp_path / "x"), layout="folder", where="psnr_y < 0"))


def test_an_export_goes_to_any_fsspec_url(every_rescaler: EveryRescaler, tmp_path: Path) -> None:
    url = "memory://exported"
    done = export(Request(archive=every_rescaler.url, dest=url, layout="webdataset"))
    export(Request(archive=every_rescaler.url, dest=str(tmp_path), layout="webdataset"))
    names = [found.key for found in open_store(url).list() if found.key != MARKER]
    assert {name: open_store(url).get(name) for name in names} == files_of(tmp_path)
    assert done.exported


def test_the_command_says_what_it_did(every_rescaler: EveryRescaler, tmp_path: Path) -> None:
    refold = RefoldHere({})
    url, keys = every_rescaler.url, list(rows_of(every_rescaler.url))
    ran = refold("export", url, str(tmp_path / "a"), keys[0], "2*", "no such", "--folder", "--json")
    assert ran.code == Exit.FAILED
    assert ran.json["failures"].keys() == {"no such"}
    assert ran.json["exported"] == 1 + sum(key.startswith("2") for key in keys)
    ran = refold("export", url, str(tmp_path / "b"), "--webdataset", "--where", "psnr_y > 35")
    assert ran.code == Exit.DONE, ran.err
    assert re.match(r"\d+ exported in 1 shards \(.*\), 0 failed", ran.out)
    for layouts in ([], ["--folder", "--hf"]):
        ran = refold("export", url, str(tmp_path / "c"), *layouts)
        assert ran.code == Exit.USAGE
        assert "choose one of" in ran.err
    assert not (tmp_path / "c").exists()


keys_of_stores = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(keys_of_stores, keys_of_stores)
def test_no_two_keys_have_one_name_and_none_leads_out(one: str, other: str) -> None:
    name = member_name(one)
    assert (name == member_name(other)) == (one == other)
    *folders, last = name.split("/")
    assert "." not in last
    assert not {"", ".", ".."} & {*folders, last}
    assert len(last.encode()) <= 255
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as file:
        file.addfile(tarfile.TarInfo(f"{name}.png"))
    tar.seek(0)
    with tarfile.open(fileobj=tar) as file:
        assert file.getnames() == [f"{name}.png"]


def test_samples_of_one_shard_are_never_mixed_up() -> None:
    names = [member_name(key) for key in ("a.jpg", "a.b.jpg", "a", "a/.", "a%2Ejpg", "a/..", "/a")]
    assert len(set(names)) == len(names)
    assert all(not one.startswith(f"{other}.") for one, other in pairwise(sorted(names)))
