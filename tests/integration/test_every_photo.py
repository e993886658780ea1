"""Collections as they are: every kind of file and every kind of key, archived and restored."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rescaling_core.quality import metrics
from tasks.jobs.restore.requests import NotRestored, RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer
from tasks.storage import open_store
from tests.command import photograph
from tests.small_archive import SmallArchive
from tests.unit.photo_cases import KEPT, QUARANTINED, READ
from tests.unit.rescaling_core.photo.test_shown import NOT_SHOWN

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def _restored(small: SmallArchive, destination: str) -> dict[str, Restored | NotRestored]:
    """What `refold restore --all` does, in this process."""
    requests, missing = small.requests()
    assert not missing
    restorer = Restorer(
        RestorationJob(archive_url=small.archive_url, destination_url=destination, overwrite=False)
    )
    return {request.source_key: restorer.restore(request) for request in requests}


def _image(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def test_every_file_ends_in_one_state_with_its_reason(tmp_path: Path) -> None:
    small = SmallArchive(f"{tmp_path}/photos", f"{tmp_path}/archive")
    for name, (_, make) in (READ | KEPT | QUARANTINED).items():
        small.source.put(name, make())
    small.run("x2", "long-edge=24")
    rows = small.rows()
    assert len(rows) == 2 * len(READ | KEPT | QUARANTINED)
    found = {(row.source_key, row.target): row for row in rows}
    for target in ("x2", "long-edge=24"):
        for name, (reason, _) in KEPT.items():
            row = found[name, target]
            if target == "x2" or name in NOT_SHOWN:
                assert row.state == "kept", name
                assert re.search(reason, row.reason)
            else:  # previews are made of it, and say what of it they show
                assert row.state == "archived", row.reason
                assert row.recorded.made_from, name
        for name, (reason, _) in QUARANTINED.items():
            row = found[name, target]
            assert row.state == "quarantined"
            assert re.search(reason, row.reason), row.reason
            assert row.error_class in ("UnreadableImageError", "ImageTooLargeError")
    for name, (mode, _) in READ.items():
        assert found[name, "long-edge=24"].state == "archived"
        row = found[name, "x2"]
        assert row.state == "archived" or "not smaller" in row.reason
        assert row.mode == mode or row.state == "kept"
    archived = {name for name in READ if found[name, "x2"].state == "archived"}
    outcomes = _restored(small, f"{tmp_path}/out")
    assert set(outcomes) == archived
    assert {"png", "png with alpha", "tiff", "bmp grey", "jxl lossless"} <= archived
    for name, outcome in outcomes.items():
        assert isinstance(outcome, Restored), outcome
        assert (tmp_path / "out" / outcome.output_key).stat().st_size == outcome.nbytes, name


KEYS = (
    "plain.png",
    "with space.png",
    " leading and trailing .png",
    "percent %41 100%.png",
    "question?versionId=1&x=%3F.png",
    "hash#1.png",
    "..two dots.png",
    "a..b/..c/d...png",
    "plus+and&amp;<quotes'\">.png",
    "back\\slash*[glob]{x}.png",
    "zhōng 中文 é.png",
    "zho\u0304ng 中文 e\u0301.png",  # looks the same, of decomposed letters
    "emoji 😀/😀.png",
    "folder a/same.png",
    "folder b/same.png",
    "same.png",
    "same.jpg",
    "same.jpg.png",
    "same",
    "Same.PNG",
    "SAME.png",
    "no/extension/at all",
    "n" * 255,
    "é" * 125 + ".jpg",
    "é" * 125 + ".tif",
    "/".join(["deep" * 10] * 12) + "/x.png",
)
ONLY_S3 = ("up/../x.png", "double//slash.png", "/leading.png", "dot/./x.png")
"""What no path can spell."""


@pytest.mark.parametrize("kind", ["local", "moto"])
def test_awkward_keys_are_archived_and_restored(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    local = kind == "local"
    root = str(tmp_path) if local else request.getfixturevalue("moto_url")
    small = SmallArchive(f"{root}/photos", f"{root}/archive")
    # As long as a source's key may be, so that its LR object can no longer be named.
    limit = 4095 - len(f"{root}/photos/") - 40 if local else 1024 - len("photos/")
    endless = ("directory/" * 500)[: limit - 6].rstrip("/") + "/x.png"
    source = small.source
    files = {}
    for i, key in enumerate((*KEYS, endless) if local else (*KEYS, *ONLY_S3, endless)):
        side = 160 if key == endless else 40
        buffer = io.BytesIO()
        photograph("coffee", side, side + 8, 10 + 7 * i, 40 + 7 * i).save(buffer, "PNG")
        files[key] = buffer.getvalue()
        source.put(key, files[key])
    small.run("x2")
    rows = {row.source_key: row for row in small.rows()}
    assert set(rows) == set(files)
    kept = rows.pop(endless)
    assert kept.state == "kept"
    assert "too long" in (kept.reason or "") or "over 1024 bytes" in (kept.reason or "")
    assert {row.state for row in rows.values()} == {"archived"}
    assert len({row.lr_key for row in rows.values()}) == len(rows)

    outcomes = _restored(small, f"{root}/out")
    assert set(outcomes) == set(rows)
    out = open_store(f"{root}/out")
    written = {info.key for info in out.list()}
    assert len(written) == len(rows)
    for key, outcome in outcomes.items():
        assert isinstance(outcome, Restored), outcome
        written.remove(outcome.output_key)
        found = metrics.psnr_y(_image(out.get(outcome.output_key)), _image(files[key]))
        assert found == rows[key].psnr_y
