"""What a collection would cost: the sample is random and stable, the figures add up."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image

from flows.plan import plan_costs
from rescaling_core.errors import UsageError
from tasks.estimate import draw_sample, read_prices
from tasks.planning import PlanOptions, build_plan, single_codec_plan
from tasks.storage import open_store

PLAN = """
[[targets]]
target = "x1"
floor = { psnr_y = 33 }
candidates = [
    { rescaler = "none", codec = "webp", quality = { min = 5, max = 95 }, effort = 2 },
    { rescaler = "jpeg-transcode", codec = "jxl-lossless" },
]
"""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        crop = skimage.data.astronaut()[30 * number : 30 * number + 120, 100:261]
        Image.fromarray(crop).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    return folder


def test_a_sample_is_random_and_the_same_for_the_same_seed(photos: Path) -> None:
    store = open_store(str(photos))
    first = draw_sample(store, 3, seed=1)
    assert first == draw_sample(store, 3, seed=1)
    assert (first.listed, len(first.sources)) == (7, 3)
    assert first.listed_bytes == sum(path.stat().st_size for path in photos.iterdir())
    assert len({draw_sample(store, 3, seed=seed).sources for seed in range(9)}) > 1


def test_the_whole_collection_as_a_sample_gives_its_true_cost(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "costs.html"
    options = {
        "mine": PlanOptions(plan_toml=PLAN),
        "thumbnails": PlanOptions(preset="thumbnails"),
    }
    result = plan_costs(str(photos), options, sample=99, html=page)
    size = result["listed_bytes"]
    as_is, mine, thumbnails, avif, jxl = result["plans"]
    assert (result["sampled"], as_is["stored_bytes"], as_is["ratio"]) == (7, size, 1)
    assert (mine["archived"], mine["kept"], mine["quarantined"]) == (6, 0, 1)
    assert mine["stored_bytes"] < size / 2
    assert mine["psnr_y_lowest"] >= 33.05
    assert mine["chosen"] == {"webp at full size": 6}
    assert (thumbnails["archived"], thumbnails["kept"]) == (0, 6)
    assert thumbnails["stored_bytes"] > size  # the sources stay, the previews come on top
    assert [avif["plan"], jxl["plan"]] == ["avif-420 alone, as mine", "jxl alone, as mine"]
    assert mine["per_month"]["standard"] == pytest.approx(
        mine["stored_bytes"] / 1e9 * 0.023, abs=1e-6
    )
    text = page.read_text("utf-8")
    assert "avif-420 alone, as mine" in text
    assert text.count("<circle") == 6 * 3


def test_prices_are_the_owners(tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text("cellar = 0.5\n")
    assert read_prices(table) == {"cellar": 0.5}
    table.write_text("cellar = -1\n")
    with pytest.raises(UsageError, match="cellar = -1"):
        read_prices(table)
    with pytest.raises(UsageError, match=r"nowhere\.toml: cannot be read"):
        read_prices(tmp_path / "nowhere.toml")


def test_previews_count_on_both_sides() -> None:
    balanced = build_plan(PlanOptions(preset="balanced"))
    alone = single_codec_plan("webp", balanced)
    assert alone is not None
    assert alone.target_names == ("x1", "long-edge=256")
    assert alone.targets[0].floor == balanced.targets[0].floor
    assert single_codec_plan("webp", build_plan(PlanOptions(preset="thumbnails"))) is None


def test_an_empty_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        plan_costs(str(tmp_path), {}, sample=5)


def test_jpegs_are_estimated_with_their_own_bytes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()[:300, :301]).save(buffer, "JPEG", quality=95)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    result = plan_costs(str(tmp_path), {"lossless": PlanOptions(preset="lossless")}, sample=1)
    row = result["plans"][1]
    assert row["chosen"] == {"JPEG XL of the JPEG": 1}
    assert 0.5 < row["ratio"] < 1
