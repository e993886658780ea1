"""This release restores what every earlier one archived, from what lies in the archive."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rescaling_core import zoo
from rescaling_core.errors import RestorationMismatchError
from rescaling_core.restore import restore, restore_source_file
from tasks.catalog import open_catalog
from tasks.jobs.restore.choosing import choose, requests_of
from tasks.jobs.restore.requests import RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer
from tasks.models import lookup
from tasks.models.archived import missing_models
from tasks.models.instructions import NAMES, version_of
from tasks.models.lookup import Models
from tasks.renditions.inspection import inspect_stored
from tasks.storage import open_store

RELEASES = sorted(
    path for path in Path(__file__).parent.iterdir() if (path / "SHA256SUMS").exists()
)
WITHOUT_NETWORKS = {"2026-11-fitted"}

pytestmark = pytest.mark.parametrize("golden", RELEASES, ids=lambda path: path.name)


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A release that ships no weights, on a machine that has none."""
    monkeypatch.setattr(zoo, "WEIGHTS_DIR", tmp_path)
    monkeypatch.setenv("REFOLD_WEIGHTS", str(tmp_path))
    lookup._HELD.clear()


@pytest.fixture
def archive(golden: Path, tmp_path: Path) -> str:
    """A copy, since opening a catalog may write beside it."""
    shutil.copytree(golden / "archive", tmp_path / "archive")
    return str(tmp_path / "archive")


def test_no_file_of_it_has_changed(golden: Path) -> None:
    lines = (golden / "SHA256SUMS").read_text().splitlines()
    stated = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    there = {
        path.relative_to(golden).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in golden.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert there == stated


@pytest.mark.parametrize("name", NAMES)
def test_instructions_that_say_otherwise_have_another_version(golden: Path, name: str) -> None:
    """Or the archives that have these would keep them."""
    kept = golden / "archive" / name
    if kept.exists():
        text = (files("tasks.models") / "without_refold" / name).read_bytes()
        assert (kept.read_bytes() == text) == (version_of(kept.read_bytes()) == version_of(text))


def test_every_rendition_restores_with_all_it_carried(golden: Path, archive: str) -> None:
    expected = json.loads((golden / "expected.json").read_text())
    models = Models(open_store(archive))
    assert expected
    for key, wanted in expected.items():
        lr_data = (Path(archive) / key).read_bytes()
        if wanted.get("preview"):
            with pytest.raises(RestorationMismatchError, match="preview"):
                restore(lr_data, models)
        elif "source_file" in wanted:
            data = restore_source_file(lr_data)
            assert data is not None
            assert hashlib.sha256(data).hexdigest() == wanted["source_file"]
        else:
            _check(restore(lr_data, models), wanted, golden)


def test_bfloat16_restores_the_same_but_for_a_level(
    golden: Path, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the processor has it; elsewhere it is what float32 gives."""
    expected = json.loads((golden / "expected.json").read_text())
    store = open_store(archive)
    monkeypatch.setenv("REFOLD_PRECISION", "bfloat16")
    differing = 0
    for key, wanted in expected.items():
        if "pixels" in wanted:
            data = (Path(archive) / key).read_bytes()
            usual, narrow = (restore(data, of) for of in (Models(store), Models.for_reading(store)))
            levels = abs(narrow.pixels.astype(int) - usual.pixels)
            assert levels.max() <= 1, key
            assert levels.mean() < 0.1, key
            differing += bool(levels.any())
    assert (differing > 0) == (golden.name not in WITHOUT_NETWORKS and _has_bfloat16())


def _has_bfloat16() -> bool:
    if find_spec("openvino") is None:
        return False
    from rescaling_core.engine.openvino_engine import has_bfloat16

    return has_bfloat16()


def _check(photo: Any, wanted: dict[str, Any], golden: Path) -> None:
    with Image.open(golden / "restored" / wanted["pixels"]) as image:
        pixels = np.asarray(image).astype(int)
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    assert abs(photo.pixels - pixels).max() <= 1
    assert photo.mode == wanted["mode"]
    parts = {"icc": photo.icc, "exif": photo.exif, "xmp": photo.xmp}
    parts["alpha"] = None if photo.alpha is None else photo.alpha.tobytes()
    held = {name: hashlib.sha256(part).hexdigest() for name, part in parts.items() if part}
    assert held == wanted["sha256"]


def test_its_catalog_is_read_and_restored_from(archive: str, golden: Path, tmp_path: Path) -> None:
    store = open_store(archive)
    catalog = open_catalog(store, create=False)
    rows = list(catalog.rows())
    assert {row.state for row in rows} == {"archived"}
    assert [finding for row in rows if (finding := inspect_stored(store, row))] == []
    assert missing_models(store, rows) == []
    chosen, missing = choose(archive, (), None, None)
    assert missing == []
    job = RestorationJob(
        archive_url=archive, destination_url=str(tmp_path / "out"), overwrite=False
    )
    restorer = Restorer(job)
    outcomes = [restorer.restore(request) for request in requests_of(catalog, chosen)]
    assert len(outcomes) == sum(row.psnr_y is not None for row in rows)
    assert [outcome for outcome in outcomes if not isinstance(outcome, Restored)] == []
