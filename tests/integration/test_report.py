"""The steps of a report on archives that were really made, sound and damaged ones."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from rescaling_core.quality import metrics
from tasks.jobs.report.previews import LONG_EDGE, Preview, Shown, preview, show
from tasks.jobs.report.steps import add_up, restore_worst, write_report
from tasks.jobs.report.summary import Measured
from tasks.storage import StorageError
from tests.command import photograph
from tests.small_archive import SmallArchive, copied, small_archive


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    made = small_archive(str(root), root, 3, ("x2", "long-edge=16"))
    os.utime(root / "photos/roll 0/photo 0.png", ns=(1, 1))  # changed since: of another run now
    made.run("x2", "long-edge=16", run_id="run-2")
    return root


@pytest.fixture
def made(template: Path, tmp_path: Path) -> SmallArchive:
    """A copy that may be damaged."""
    return copied(template, tmp_path)


def _worst(made: SmallArchive, run_id: str = "run-1") -> list[Shown]:
    account = add_up.fn(made.catalog, run_id, 9)
    return restore_worst.fn(made.catalog, run_id, account.worst)


def _opened(shown: Preview | None) -> Image.Image:
    assert shown is not None
    image = Image.open(io.BytesIO(base64.b64decode(shown.uri.partition(",")[2])))
    assert image.size == (shown.width, shown.height)
    return image


def test_only_rows_of_the_run_count(made: SmallArchive) -> None:
    rows = made.rows()
    for run_id, sources in (("run-1", 2), ("run-2", 1), ("run' OR TRUE --", 0)):
        account = add_up.fn(made.catalog, run_id, 9)
        mine = [row for row in rows if row.run_id == run_id]
        assert account.rows == len(mine) == 2 * sources
        assert account.stored_bytes == sum(row.lr_bytes or 0 for row in mine)
        restorable = sorted((row.psnr_y, row.source_key) for row in mine if row.psnr_y is not None)
        assert [(one.psnr_y, one.source_key) for one in account.worst] == restorable


def test_the_worst_are_restored_from_what_is_stored(made: SmallArchive) -> None:
    shown = _worst(made)
    assert [one.refusal for one in shown] == [None, None]
    assert shown[0].row.psnr_y < shown[1].row.psnr_y  # type: ignore[operator]
    for one in shown:
        restored = np.asarray(_opened(one.restored).convert("RGB"))
        source = Image.open(io.BytesIO(made.source.get(one.row.source_key))).convert("RGB")
        assert metrics.psnr_y(restored, np.asarray(source)) > 30
        assert _opened(one.stored).size == (24, 20)
        assert one.strategy == "irn-x2-lite, png"


@pytest.mark.parametrize("damage", ["flipped", "missing", "metadata"])
def test_what_is_refused_says_why_and_its_neighbours_are_shown(
    made: SmallArchive, damage: str
) -> None:
    worst = _worst(made)[0].row
    lr_key = worst.lr_key
    if damage == "flipped":
        data = bytearray(made.archive.get(lr_key))
        data[len(data) // 2] ^= 1
        made.archive.put(lr_key, bytes(data))
    elif damage == "missing":
        made.archive.delete(lr_key)
    else:
        catalog = made.catalog
        wrong = (worst.metadata_json or "").replace('"psnr_y":', '"psnr_y":1')
        rows = [row for row in made.rows() if row.lr_key == lr_key]
        changed = [replace(row, metadata_json=wrong) for row in rows]
        assert catalog.commit_shard("damage", changed, instead_of=[lr_key])
    first, second = _worst(made)
    assert first.restored is None
    reason = {
        "flipped": "its bytes are not those that were archived",
        "missing": "ObjectNotFoundError",
        "metadata": "disagree on how it was made",
    }[damage]
    assert reason in (first.refusal or "")
    assert (first.stored is not None) == (damage == "metadata")  # what is sound is shown
    assert second.restored is not None


def test_a_store_that_fails_for_a_while_is_no_refusal(
    made: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = _worst(made)[0].row
    store = made.archive

    def fail(key: str) -> bytes:
        raise StorageError("503", retryable=True)

    monkeypatch.setattr(store, "get", fail)
    with pytest.raises(StorageError):
        show(store, row)


def test_a_rendition_that_another_run_replaced_is_left_out(made: SmallArchive) -> None:
    gone = Measured(30.0, "roll 0/photo 0.png", "x2")  # of run-2
    assert restore_worst.fn(made.catalog, "run-1", [gone]) == []


def test_an_archive_on_s3_is_read_and_restored_alike(moto_url: str, tmp_path: Path) -> None:
    made = small_archive(moto_url, tmp_path, 2)
    shown = _worst(made)
    assert len(shown) == 2
    assert all(one.stored is not None and one.restored is not None for one in shown)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_previews_are_upright_and_small(orientation: int) -> None:
    image = photograph("chelsea", 220, 330, 0, 0).resize((1320, 880))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = image.copy()
    turned.getexif().update(exif)
    expected = ImageOps.exif_transpose(turned)
    made = preview(image, orientation=orientation)
    assert max(made.width, made.height) == LONG_EDGE
    assert (made.full_width, made.full_height) == expected.size
    seen = np.asarray(_opened(made))
    assert metrics.psnr_y(seen, np.asarray(expected.resize((made.width, made.height)))) > 30


def test_alpha_and_profiles_go_with_a_preview() -> None:
    image = photograph("chelsea", 20, 30)
    image.putalpha(100)
    seen = _opened(preview(image, icc=b"a profile"))
    assert (seen.mode, seen.getpixel((3, 3))[3]) == ("RGBA", 100)  # type: ignore[index]
    assert seen.info["icc_profile"] == b"a profile"
    assert _opened(preview(image.convert("L"))).mode == "L"


@pytest.mark.parametrize("where", ["local", "moto"])
def test_a_page_is_written_again_in_place_of_the_earlier_one(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(tmp_path) if where == "local" else request.getfixturevalue("moto_url") + "/archive/"
    store = SmallArchive("", url).archive
    write_report.fn(store, "run-1", "<p>much longer than the second one", None)
    location = write_report.fn(store, "run-1", "<p>ü", None)
    assert location == f"{url.rstrip('/')}/reports/run-1/index.html"
    assert store.get("reports/run-1/index.html") == "<p>ü".encode()
    output = tmp_path / "page.html"
    assert write_report.fn(store, "run-1", "<p>ö", str(output)) == str(output)
    assert output.read_text("utf-8") == "<p>ö"
    with pytest.raises(StorageError, match=r"page.html/x: cannot be written"):
        write_report.fn(store, "run-1", "", f"{output}/x")
