"""Plans and presets through the command: what is archived comes back as promised."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rescaling_core.quality import metrics
from tests.command import RefoldHere, photograph

pytestmark = pytest.mark.slow

PLAN = """
[[targets]]
target = "x2"
floor = { psnr_y = 34 }
candidates = [
    { rescaler = "none", codec = "avif-420", quality = { min = 10, max = 95 }, effort = 2 },
    { rescaler = "none", codec = "webp", quality = { min = 10, max = 98 }, effort = 2 },
]

[[targets]]
target = "x4"
floor = { psnr_y = 34 }
[[targets.candidates]]
rescaler = "bicubic"
codec = "webp"
quality = 60
residual = { quality = { min = 10, max = 95 }, effort = 2 }
"""


def _photos(folder: Path, extension: str, **options: object) -> dict[str, bytes]:
    folder.mkdir()
    for number, sample in enumerate(("astronaut", "coffee", "camera")):
        photograph(sample, 231, 254).save(folder / f"{number}.{extension}", **options)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_lossless_jpegs_come_back_byte_for_byte(tmp_path: Path, all_here: RefoldHere) -> None:
    sources = _photos(tmp_path / "photos", "jpg", quality=94, comment=b"mine")
    photograph("chelsea", 101, 120).save(tmp_path / "photos" / "p.png")
    archive, out = str(tmp_path / "archive"), tmp_path / "out"
    ran = all_here("archive", str(tmp_path / "photos"), archive, "--preset", "lossless", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["archived"] == 4
    assert ran.json["stored_bytes"] < ran.json["source_bytes"]
    restored = all_here("restore", archive, str(out), "--all", "--json")
    assert restored.code == 0, restored.err
    for name, data in sources.items():
        assert sha256((out / name).read_bytes()).hexdigest() == sha256(data).hexdigest()
    with Image.open(tmp_path / "photos" / "p.png") as a, Image.open(out / "p.png") as b:
        assert np.array_equal(np.asarray(a), np.asarray(b))

    row = next(r for r in all_here("ls", archive, "--json").json if r["source_key"] == "1.jpg")
    lr_file = Path(archive, row["lr_key"])
    alone = all_here("restore", str(lr_file), str(tmp_path / "alone"), "--json")
    assert alone.code == 0, alone.err
    assert (tmp_path / "alone" / "1.jpg").read_bytes() == sources["1.jpg"]


def test_what_a_plan_archives_reaches_its_floor(tmp_path: Path, all_here: RefoldHere) -> None:
    names = _photos(tmp_path / "photos", "png")
    (tmp_path / "plan.toml").write_text(PLAN)
    archive, photos = str(tmp_path / "archive"), str(tmp_path / "photos")
    ran = all_here("archive", photos, archive, "--plan", str(tmp_path / "plan.toml"), "--json")
    assert ran.code == 0, ran.err
    assert ran.json["renditions"]["archived"] == 6
    rows = all_here("ls", archive, "--json").json
    assert {row["scale"] for row in rows} == {1, 4}
    (report,) = ran.json["strategies"].values()  # there is a choice for x2 only
    stored = sum(row["lr_bytes"] for row in rows if row["target"] == "x2")
    assert sum(one["won"] for one in report) == 3
    assert {one["strategy"] for one in report} == {"avif-420 at full size", "webp at full size"}
    assert all(one["alone_bytes"] - one["saved_bytes"] == stored for one in report)
    shown = all_here("show", archive, "--json").json
    assert shown["strategies"] == ran.json["strategies"]
    other = all_here("plan", archive, "--sample", "1", "--preset", "thumbnails", "--json").json
    assert [row["plan"] for row in other["plans"]] == ["as it is", "as archived", "thumbnails"]
    assert other["plans"][1]["stored_bytes"] == shown["stored_bytes"]
    for target in ("x2", "x4"):
        out = tmp_path / target
        restored = all_here("restore", archive, str(out), "--all", "--target", target, "--json")
        assert restored.code == 0, restored.err
        for name in names:
            with Image.open(tmp_path / "photos" / name) as a, Image.open(out / name) as b:
                assert metrics.psnr_y(np.asarray(a), np.asarray(b)) >= 33.95


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--preset", "best"), "thumbnails, balanced, smallest, viewable, faithful, lossless"),
        (("--preset", "balanced", "--codec", "webp"), "--codec"),
        (("--plan", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_a_wrong_plan_is_refused_before_any_work(
    tmp_path: Path, all_here: RefoldHere, arguments: tuple[str, ...], word: str
) -> None:
    _photos(tmp_path / "photos", "png")
    ran = all_here("archive", str(tmp_path / "photos"), str(tmp_path / "archive"), *arguments)
    assert ran.code == 2
    assert word in ran.err
    assert not (tmp_path / "archive").exists()


def test_a_sample_tells_what_presets_would_cost(tmp_path: Path, all_here: RefoldHere) -> None:
    _photos(tmp_path / "photos", "jpg", quality=95)
    page = tmp_path / "costs.html"
    arguments = ("--sample", "2", "--preset", "lossless", "--html", str(page), "--json")
    ran = all_here("plan", str(tmp_path / "photos"), *arguments)
    assert ran.code == 0, ran.err
    assert (ran.json["listed"], ran.json["sampled"]) == (3, 2)
    assert [row["plan"] for row in ran.json["plans"]] == ["as it is", "lossless"]
    assert "JPEG XL of the JPEG" in page.read_text("utf-8")
    shown = all_here("plan", "--show", "lossless")
    assert "jpeg-transcode" in shown.out
