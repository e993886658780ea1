"""One archive with packed files of both kinds, through every job and every page."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from skimage import data

from flows.plan import plan_costs
from flows.service.access import Keys
from flows.service.app import create_app
from flows.service.settings import ServeSettings
from rescaling_core.photo import decode_shown
from rescaling_core.plan import Floor
from tasks.catalog import CatalogRow
from tasks.catalog.history import floors_of
from tasks.catalog.journal import Journal
from tasks.collection.listing import EVERYTHING
from tasks.control.run import Run
from tasks.datasets import ArchiveDataset
from tasks.jobs.export.check import Request
from tasks.jobs.export.work import export
from tasks.jobs.rebuild.steps import find_lr_files, row_of
from tasks.jobs.report.previews import show
from tasks.jobs.retire import actions, steps
from tasks.jobs.retire.actions import Site
from tasks.jobs.retire.decisions import Terms
from tasks.jobs.retire.tally import RetireTally
from tasks.jobs.retire.worker import Verifier
from tasks.jobs.scrub.repair import Repaired, Repairer
from tasks.jobs.scrub.steps import commit_repair
from tasks.jobs.scrub.worker import Check, Inspector
from tasks.plans.options import PlanOptions
from tests.packed_archive import packed_archive, restored_files, rows_by
from tests.small_archive import HerePool, SmallArchive
from tests.unit import photo_samples as samples

pytestmark = pytest.mark.filterwarnings("ignore")

SIDE = 300
"""Of a square picture: more than the picture beside a packed file has."""
PLAN = """\
[[targets]]
target = "x1"
floor = { psnr_y = 42 }
candidates = [
  { rescaler = "none", codec = "webp", quality = { min = 80, max = 95 } },
  { rescaler = "deep", codec = "avif", effort = 1, quality = { min = 60, max = 90 } },
  { rescaler = "repack", codec = "webp", quality = 80 },
]

[[targets]]
target = "long-edge=64"
"""
MADE_BY = {"turned.tif": "deep", "grey.png": "deep", "cmyk.tif": "repack", "photo.png": "none"}


def _files() -> dict[str, bytes]:
    photo = np.ascontiguousarray(data.astronaut()[:SIDE, 100 : 100 + SIDE])
    noise = np.random.default_rng(1).integers(0, 256, photo.shape)
    deep = (photo.astype(np.uint16) * 256 + noise).astype(np.uint16)
    turned = (274, 3, 1, 6, True)
    return {
        "turned.tif": samples.tiff_of(deep, photometric="rgb", extratags=[turned]),
        "grey.png": imagecodecs.png_encode(np.ascontiguousarray(deep[..., 1])),
        "cmyk.tif": samples.written(Image.fromarray(photo).convert("CMYK"), "TIFF"),
        "photo.png": samples.written(Image.fromarray(photo), "PNG"),
    }


def _shown(content: bytes) -> np.ndarray:
    """(H, W, 3), as a page shows a source."""
    pixels = decode_shown(content, max_pixels=10**6).pixels
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(int)


def test_packed_files_go_through_every_job(tmp_path: Path) -> None:
    made = packed_archive(tmp_path, _files(), plan=PLAN)
    rows_by(made, MADE_BY)
    _planned(made.source_url)
    _scrubbed(made)
    _rebuilt(made)
    _reported(made)
    _exported(made, tmp_path)
    _read_in_training(made)
    _served(made)
    _retired(made)
    _planned(made.archive_url)
    assert restored_files(made, tmp_path / "restored").keys() == MADE_BY.keys()


def _planned(url: str) -> None:
    """Of the collection while it is there, of the archive when it is gone."""
    costs = plan_costs(url, {"mine": PlanOptions(plan_toml=PLAN)}, sample=9)
    for one in (one for one in costs.plans if one.plan in ("mine", "as archived")):
        assert (one.archived, one.kept, one.quarantined) == (4, 0, 0), one
        assert one.chosen["12-bit AVIF in the packed file"] == 2
        told = {cost.strategy: cost for cost in one.strategies["x1"]}
        assert {name: cost.won for name, cost in told.items()} == one.chosen
        nothing_saved = sum(map(len, _files().values()))
        assert all(0 < cost.alone_bytes < nothing_saved for cost in told.values())


def _scrubbed(made: SmallArchive) -> None:
    inspector, rows = Inspector(made.archive_url), rows_by(made, MADE_BY)
    checks = [Check(row, restore=True) for row in rows.values()]
    assert inspector.inspect(checks) == []
    for key in ("turned.tif", "cmyk.tif"):
        stored = made.archive.get(rows[key].lr_key)
        made.archive.put(rows[key].lr_key, stored[:-30] + bytes(30))
        (found,) = inspector.inspect([Check(rows[key], restore=True)])
        assert found.source_key == key
        repaired = Repairer(made.source_url, made.archive_url, "again").repair(rows[key])
        assert isinstance(repaired, Repaired), repaired
        assert made.archive.get(repaired.row.lr_key)
        commit_repair(made.catalog, repaired)
    again = rows_by(made, MADE_BY)
    assert [row.psnr_y for row in again.values()] == [row.psnr_y for row in rows.values()]
    assert inspector.inspect([Check(row, restore=True) for row in again.values()]) == []


def _rebuilt(made: SmallArchive) -> None:
    files = find_lr_files.fn(made.archive).files
    found = [row_of(made.archive, file, shard_id="", run_id="") for file in files]

    def known(row: CatalogRow) -> CatalogRow:
        return replace(
            row, seconds=None, shard_id="", run_id="", committed_at=None, strategies_json=None
        )

    rows = {(row.source_key, row.target): known(row) for row in made.rows()}
    assert {(row.source_key, row.target): known(row) for row in found} == rows


def _reported(made: SmallArchive) -> None:
    for key, row in rows_by(made, MADE_BY).items():
        shown = show(made.archive, row)
        assert shown.refusal is None
        assert shown.stored is not None
        assert shown.restored is not None
        assert (shown.restored.full_width, shown.restored.full_height) == (SIDE, SIDE)
        assert ("full size" in shown.stored_title) == (key == "photo.png")


def _exported(made: SmallArchive, folder: Path) -> None:
    for layout, size in (("hf", "hr"), ("webdataset", "hr"), ("hf", "lr")):
        url = folder / f"{layout} {size}"
        asked = Request(archive=made.archive_url, dest=str(url), layout=layout, size=size)
        done = export(asked)
        assert (done.exported, done.failures) == (4, {})
        if layout == "webdataset":
            with tarfile.open(url / "shard-000000.tar") as shard:
                names = {Path(member.name).suffix for member in shard}
            assert names == {".tif", ".png", ".json"}
        elif size == "hr":
            assert {key for key in MADE_BY if (url / key).exists()} == MADE_BY.keys()
            assert (url / "cmyk.tif").read_bytes() == _files()["cmyk.tif"]
            assert imagecodecs.png_decode((url / "grey.png").read_bytes()).dtype == np.uint16


def _read_in_training(made: SmallArchive) -> None:
    rows = rows_by(made, MADE_BY)
    for size in ("lr", "hr", (40, 40), (400, 400)):
        for sample in ArchiveDataset(made.archive_url, size=size):
            row = rows[sample["key"]].recorded
            sides = {"lr": (row.lr_height, row.lr_width), "hr": (SIDE, SIDE)}
            height, width = sides[size] if isinstance(size, str) else size
            assert sample["image"].shape == (3, height, width), sample["key"]
            pixels = sample["image"].numpy().transpose(1, 2, 0).astype(int)
            expected = Image.fromarray(_shown(_files()[sample["key"]]).astype(np.uint8))
            expected = np.asarray(expected.resize((width, height), Image.Resampling.LANCZOS))
            assert np.abs(pixels - expected).mean() < 5, (size, sample["key"])


def _served(made: SmallArchive) -> None:
    settings = ServeSettings(sources=True)
    app = create_app({"archive": made.archive_url}, settings, Keys((), anonymous=True))
    client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
    answer = client.get("/v1/renditions", params={"target": "x1"}).json()
    found = {one["key"]: one for one in answer["renditions"]}
    assert found.keys() == MADE_BY.keys()
    for key, one in found.items():
        expected, image, id = _shown(_files()[key]), one["links"]["iiif"], one["id"][:-17]

        def seen(url: str) -> np.ndarray:
            got = client.get(url)
            assert got.status_code == 200, (url, got.text)
            return np.asarray(Image.open(io.BytesIO(got.content)).convert("RGB")).astype(int)

        info = client.get(f"{image}/info.json").json()
        assert (info["width"], info["height"]) == (SIDE, SIDE)
        whole = seen(one["links"]["hr"])
        assert np.abs(whole - expected).mean() < 5, key
        np.testing.assert_array_equal(seen(f"{image}/full/max/0/default.png"), whole)
        part = seen(f"{image}/20,10,100,50/max/0/default.png")
        np.testing.assert_array_equal(part, whole[10:60, 20:120])
        assert seen(f"{image}/full/!90,90/0/default.jpg").shape == (90, 90, 3)
        np.testing.assert_array_equal(seen(f"/images/{id}/source/full/max"), expected)
        page = client.get(f"/images/{id}").text
        assert f"{SIDE} × {SIDE} pixels out of" not in page
        if MADE_BY[key] != "none":
            assert "packed" in page
            assert "refold restore gives the file" in page
    manifest = client.get("/iiif/presentation/3/archive/manifest.json").text
    assert manifest.count("a picture of it at 8") == 3


def _retired(made: SmallArchive) -> None:
    for expected in ("marked", "deleted"):
        now = datetime.now(UTC)
        site = Site(
            source=made.source,
            archive=made.archive,
            catalog=made.catalog,
            journal=Journal(made.archive),
            collection=made.source.place.name,
            terms=Terms(archived_before=now, marked_before=now),
            floors=floors_of(made.catalog.runs()),
            floor=Floor(),
            run_id=expected,
            dry_run=False,
        )
        chunks = steps.chunks_of(steps.list_completely.fn(site.source, EVERYTHING))
        actions.settle(site)
        pool = HerePool(Verifier(made.source_url, made.archive_url).verify)
        run = Run("retire", RetireTally(), {})
        for wave in run.waves(chunks, cut=len(chunks), at_least=2, total=4):
            run.add(steps.retire_wave.fn(wave, site, pool))
        assert getattr(run.tally, expected) == 4, run.tally
    assert not list(made.source.list())
    shutil.rmtree(made.source_url, ignore_errors=True)
    Path(made.source_url).mkdir()
