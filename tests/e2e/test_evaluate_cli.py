"""`refold evaluate` as a user runs it."""

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow


@pytest.fixture
def sets(tmp_path):
    (tmp_path / "mine").mkdir()
    # Shapes with sharp edges: what bicubic blurs.
    y, x = np.mgrid[:64, :96]
    inside = (np.hypot(y - 30, x - 40) < 22) ^ (x + y > 90)
    colours = np.array([[60, 80, 110], [190, 170, 140]], np.uint8)
    Image.fromarray(colours[inside.astype(int)]).save(tmp_path / "mine" / "a.png")
    return tmp_path


@pytest.fixture
def evaluate(all_here):
    return lambda *arguments: all_here("evaluate", *map(str, arguments))


def test_json_has_the_promised_fields_and_the_network_beats_bicubic(sets, evaluate):
    outcome = evaluate(
        sets, "--rescaler", "bicubic", "--rescaler", "irn-x2-lite", "--scale", 2,
        "--out", sets / "out", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    rows = outcome.json["rows"]
    fields = [
        "set",
        "rescaler",
        "scale",
        "codec",
        "quality",
        "images",
        "psnr_y",
        "ssim_y",
        "psnr",
        "bpp",
        "lr_psnr_y",
    ]
    assert all(list(row) == fields for row in rows)
    psnr_y = {row["rescaler"]: row["psnr_y"] for row in rows}
    assert psnr_y["irn-x2-lite"] > psnr_y["bicubic"] + 2
    written = {path.name for path in (sets / "out").iterdir()}
    assert written == {"evaluation.parquet", "evaluation.md", "evaluation.png"}


def test_rate_distortion_names_every_full_size_codec(sets, evaluate):
    outcome = evaluate(
        sets, "--rd", "--rescaler", "irn-x2-lite", "--codec", "jpeg", "--out", sets / "out"
    )
    assert outcome.code == 0, outcome.err
    table = (sets / "out" / "rate-distortion.md").read_text()
    assert table.count("| irn-x2-lite jpeg |") == 2
    assert all(f"### mine: bits at equal {name}" in table for name in ("PSNR-Y", "SSIMULACRA 2"))
    assert all(f"against {name}" in table for name in ("avif", "jpeg", "jxl", "webp"))
    assert (sets / "out" / "rate-distortion.png").stat().st_size > 0


def test_wrong_usage_is_one_line_and_exit_code_2(sets, evaluate):
    outcome = evaluate(sets, "--rescaler", "irn-x9")
    assert outcome.code == 2
    assert "irn-x9" in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
