"""What a collection would cost: the sample is random and stable, the figures add up."""

from __future__ import annotations

import io
from pathlib import Path
from tarfile import RECORDSIZE

import pytest
import skimage.data
from PIL import Image

from flows.plan import plan_costs
from rescaling_core.errors import UsageError
from tasks.jobs.plan.costs import PlanCost
from tasks.jobs.plan.holding import Holding
from tasks.jobs.plan.sample import LiveCollection, Sample, draw_sample
from tasks.pages.prices import Prices, months_to_pay, read_prices
from tasks.plans.options import PlanOptions, build_plan, single_codec_plan
from tasks.renditions.layout import rendition_key
from tasks.renditions.packs import packed
from tasks.storage import open_store
from tests.small_archive import small_archive

pytestmark = pytest.mark.usefixtures("one_thread")

PLAN = """
[[targets]]
target = "x1"
floor = { psnr_y = 33 }
candidates = [
    { rescaler = "none", codec = "webp", quality = { min = 5, max = 95 }, effort = 2 },
    { rescaler = "jpeg-transcode", codec = "jxl-lossless" },
]
"""


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
    store = LiveCollection(open_store(str(photos)))
    first = draw_sample(store, 3, name="photos", seed=1)
    assert first == draw_sample(store, 3, name="photos", seed=1)
    assert (first.listed, len(first.sources)) == (7, 3)
    assert first.listed_bytes == sum(path.stat().st_size for path in photos.iterdir())
    drawn = {draw_sample(store, 3, name="photos", seed=seed).sources for seed in range(9)}
    assert len(drawn) > 1


def test_the_whole_collection_as_a_sample_gives_its_true_cost(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "costs.html"
    options = {
        "mine": PlanOptions(plan_toml=PLAN),
        "thumbnails": PlanOptions(preset="thumbnails"),
    }
    result = plan_costs(str(photos), options, sample=99, html=page)
    size = result.listed_bytes
    as_is, mine, thumbnails, avif, jxl = result.plans
    assert (result.sampled, as_is.stored_bytes, as_is.ratio) == (7, size, 1)
    assert (mine.archived, mine.kept, mine.quarantined) == (6, 0, 1)
    assert mine.stored_bytes < size / 2
    assert mine.psnr_y_lowest >= 33
    assert mine.chosen == {"webp at full size": 6}
    assert (thumbnails.archived, thumbnails.kept) == (0, 6)
    assert thumbnails.stored_bytes > size  # the sources stay, the previews come on top
    assert [avif.plan, jxl.plan] == ["avif-420 alone, as mine", "jxl alone, as mine"]
    assert mine.per_month["standard"] == pytest.approx(mine.stored_bytes / 1e9 * 0.023, abs=1e-6)
    (webp, jpeg), others = mine.strategies["x1"], as_is.strategies
    assert (webp.strategy, webp.won, webp.saved_bytes) == ("webp at full size", 6, 0)
    assert (jpeg.won, jpeg.saved_bytes > webp.alone_bytes) == (0, True)
    assert others == {}
    text = page.read_text("utf-8")
    assert "<td>JPEG XL of the JPEG</td>" in text
    assert "avif-420 alone, as mine" in text
    assert text.count("<circle") == 6 * 3


def test_prices_are_the_owners(tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text("cellar = 0.5\n")
    assert read_prices(table) == Prices(storage={"cellar": 0.5})
    table.write_text("cellar = 0.5\n[once]\ncore_hour = 3\n")
    assert read_prices(table) == Prices(storage={"cellar": 0.5}, core_hour=3)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cellar = -1", "cellar = -1: money a GB and month"),
        ("cellar = 1\n[once]\ncore_hour = true", "once.core_hour = True"),
        ("cellar = 1\n[least]\nattic = 5", "least.attic: a class without a price"),
        ("cellar = 1\n[least]\ncellar = 1.5", "least.cellar = 1.5: bytes"),
        ("least = 2", "least is a table"),
        ("cellar = 1\n[once]\ncoffee = 2", "once.coffee is not known; one of core_hour"),
        ("once = 2", "once is a table"),
        ("[once]\ncore_hour = 1", "no storage class"),
    ],
)
def test_a_wrong_price_is_refused_by_its_name(text: str, complaint: str, tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        read_prices(table)


def test_a_missing_price_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: cannot be read"):
        read_prices(tmp_path / "nowhere.toml")


def test_converting_pays_back_when_the_months_saved_are_worth_it(
    photos: Path, tmp_path: Path
) -> None:
    table = tmp_path / "prices.toml"
    table.write_text("cellar = 1e6\n[once]\ncore_hour = 36\nread_1000 = 10\nwrite_1000 = 100\n")
    options = {"mine": PlanOptions(plan_toml=PLAN), "thumbnails": PlanOptions(preset="thumbnails")}
    result = plan_costs(str(photos), options, sample=99, prices=table)
    as_is, mine, thumbnails, avif, _ = result.plans
    assert (as_is.once, as_is.pays_back) == (0, {"cellar": 0})
    # 7 sources read and 6 files written; hours are rounded to 3.6 seconds
    assert mine.once == pytest.approx(0.07 + 0.6 + 36 * mine.worker_hours, abs=0.02)
    saved = as_is.per_month["cellar"] - mine.per_month["cellar"]
    assert mine.pays_back["cellar"] == pytest.approx(mine.once / saved, abs=0.06)
    assert thumbnails.pays_back == {"cellar": None}  # the sources stay
    assert avif.extra_pays_back is None
    assert mine.extra_pays_back is not None


@pytest.mark.parametrize(
    ("once", "saved", "months"), [(0, -1, 0), (-1, -1, 0), (1, 0, None), (1, -1, None), (12, 4, 3)]
)
def test_what_costs_nothing_pays_back_at_once_and_what_saves_nothing_never(
    once: float, saved: float, months: float | None
) -> None:
    assert months_to_pay(once, saved) == months


def test_packs_are_counted_as_what_they_are(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text("warm = 1e6\ncold = 1e6\n[once]\nwrite_1000 = 100\n[least]\ncold = 131072\n")
    packed = PLAN.replace('target = "x1"', 'target = "x1"\nstore = "packs"')
    options = {name: PlanOptions(plan_toml=text) for name, text in
               (("single", PLAN), ("packed", packed))}  # fmt: skip
    result = plan_costs(str(photos), options, sample=99, prices=table)
    found = {cost.plan: cost for cost in result.plans}
    single, together, as_is = found["single"], found["packed"], found["as it is"]

    def counted(cost: PlanCost) -> tuple[int, int, int, int]:
        return cost.objects, cost.packs, cost.packed_files, cost.writes

    assert (counted(single), counted(together)) == ((7, 0, 0, 6), (2, 1, 6, 1))
    assert found["avif-420 alone, as packed"].packs == 1
    assert single.reads == together.reads == 7
    assert single.once - together.once == pytest.approx(0.5)
    assert (
        single.stored_bytes == together.stored_bytes < 131072
    )  # all of it is less than one object
    assert single.per_month["warm"] == pytest.approx(single.stored_bytes / 1000)
    stays = (photos / "broken.png").stat().st_size
    assert together.per_month["warm"] > single.per_month["warm"]
    assert round(1000 * together.per_month["warm"] - stays) % RECORDSIZE == 0  # a whole tar file
    assert as_is.per_month["cold"] == pytest.approx(7 * 131.072)
    assert single.per_month["cold"] == pytest.approx(7 * 131.072)
    assert together.per_month["cold"] == pytest.approx(2 * 131.072)


def test_packs_grow_with_the_collection_as_shards_do_and_as_they_fill() -> None:
    holding = Holding()
    for _ in range(10):
        holding.add("x2", "a.webp", 10_000, packed=True)
        holding.add("x4", "a.webp", 4 * 2**20, packed=True)
        holding.add("x8", "a.webp", 500, packed=False)
    sample = Sample(sources=(), listed=6400, listed_bytes=640 * 2**20)
    extent = holding.extent(sample, 10, 2**20)
    files = 10 * 640  # the collection is 640 times the sample
    assert (extent.packs, extent.packed_files) == (100 + files * 4 // 64, 2 * files)
    assert (extent.writes, extent.objects) == (extent.packs + files, extent.packs + files)
    of_small, of_none = (holding.shortfall(least, sample, 10, 2**20) for least in (1000, 0))
    assert of_small - of_none == pytest.approx(500 * files)


def test_what_an_archive_holds_in_packs_is_counted_by_pack() -> None:
    holding = Holding()
    for pack_key in ("packs/a.tar", "packs/a.tar", "packs/b.tar", None):
        holding.add_stored(pack_key, "a.webp", 300)
    sample = Sample(sources=(), listed=4, listed_bytes=4000)
    extent = holding.extent(sample, 4, 4000)
    assert (extent.objects, extent.packs, extent.packed_files, extent.writes) == (3, 2, 3, 0)
    assert holding.shortfall(20_000, sample, 4, 4000) == 19_400 + 19_700 + 19_700
    assert holding.shortfall(700, sample, 4, 4000) == 400 + 2 * RECORDSIZE - 900


@pytest.mark.parametrize(
    "folder", ["roll", "a folder with a long name, to which a header is added"]
)
def test_what_packs_hold_beside_files_is_paid_for(folder: str) -> None:
    keys = [rendition_key("x2", f"{folder}/{n:04}.jpg", "0" * 32, ".webp") for n in range(64)]
    files = [(key, bytes(900 + number)) for number, key in enumerate(keys)]
    nbytes, (pack, _) = sum(len(data) for _, data in files), packed(files)
    to_be, there = Holding(), Holding()
    for key, data in files:
        to_be.add("x2", key, len(data), packed=True)
        there.add_stored("packs/a.tar", key, len(data))
    sample = Sample(sources=(), listed=64, listed_bytes=2**20)
    for holding in (to_be, there):
        assert holding.shortfall(0, sample, 64, 2**20) == len(pack) - nbytes
        assert holding.shortfall(2**20, sample, 64, 2**20) == 2**20 - nbytes


def test_previews_count_on_both_sides() -> None:
    balanced = build_plan(PlanOptions(preset="balanced"))
    alone = single_codec_plan("webp", balanced)
    assert alone is not None
    assert alone.target_names == ("x1", "long-edge=256")
    assert alone.targets[0].floor == balanced.targets[0].floor
    assert single_codec_plan("webp", build_plan(PlanOptions(preset="thumbnails"))) is None
    assert single_codec_plan("webp", build_plan(PlanOptions(preset="lossless"))) is None
    seen = build_plan(PlanOptions(preset="balanced", floor=("ssimulacra2=70",)))
    alone = single_codec_plan("avif-420", seen)
    assert alone is not None
    assert alone.targets[0].floor.ssimulacra2 == 70


def test_an_empty_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        plan_costs(str(tmp_path), {}, sample=5)


def test_jpegs_are_estimated_with_their_own_bytes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()[:300, :301]).save(buffer, "JPEG", quality=95)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    result = plan_costs(str(tmp_path), {"lossless": PlanOptions(preset="lossless")}, sample=1)
    row = result.plans[1]
    assert row.chosen == {"JPEG XL of the JPEG": 1}
    assert 0.5 < row.ratio < 1


def test_an_archive_is_estimated_from_its_sources_and_from_restorations(tmp_path: Path) -> None:
    made = small_archive(str(tmp_path), tmp_path, 3)
    options = {"mine": PlanOptions(plan_toml=PLAN)}
    rows = made.rows()
    page = tmp_path / "costs.html"
    live = plan_costs(made.source_url, options, sample=9)
    whole = plan_costs(made.archive_url, options, sample=9, html=page)
    assert (live.archive, whole.archive) == (False, True)
    assert (whole.listed, whole.listed_bytes) == (3, live.listed_bytes)
    as_is, archived, mine, *_ = whole.plans
    assert as_is.stored_bytes == live.listed_bytes
    stored = sum(row.lr_bytes or row.source_size for row in rows)
    assert (archived.plan, archived.stored_bytes) == ("as archived", stored)
    assert archived.archived == sum(row.state == "archived" for row in rows)
    assert mine.stored_bytes == live.plans[1].stored_bytes
    assert "as archived" in page.read_text("utf-8")

    gone = next(row.source_key for row in rows if row.state == "archived")
    changed = next(row.source_key for row in rows if row.source_key != gone)
    made.source.delete(gone)
    made.source.put(changed, b"another")
    again = plan_costs(made.archive_url, options, sample=9).plans[2]
    # The one is restored from the archive, and so is the other, whose archived version is meant.
    assert again.sampled == mine.sampled == 3
    assert again.archived == mine.archived


def test_what_is_neither_there_nor_restorable_is_not_counted(tmp_path: Path) -> None:
    made = small_archive(str(tmp_path), tmp_path, 2, targets=("long-edge=16",))
    gone = made.rows()[0].source_key
    made.source.delete(gone)
    result = plan_costs(made.archive_url, {"mine": PlanOptions(plan_toml=PLAN)}, sample=9)
    assert (result.sampled, result.plans[2].sampled) == (2, 1)
    assert result.plans[1].kept == 2  # a preview restores nothing


def test_a_mixed_folder_is_told_class_by_class(tmp_path: Path) -> None:
    pixels = skimage.data.astronaut()[:200, :201]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "b.tif")
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "c.jpg", quality=90)
    Image.fromarray(pixels[..., 0].astype("u2") * 257).save(tmp_path / "d.tif")
    result = plan_costs(str(tmp_path), {"lossless": PlanOptions(preset="lossless")}, sample=9)
    classes = result.plans[1].classes
    assert {name: (one.sources, one.archived) for name, one in classes.items()} == {
        "PNG": (1, 1),
        "TIFF, CMYK without a profile": (1, 1),
        "JPEG, CMYK without a profile": (1, 0),
        "TIFF, the upper 8 of 16 bits": (1, 1),
    }
    assert sum(one.source_bytes for one in classes.values()) == result.listed_bytes
    kept = classes["JPEG, CMYK without a profile"]
    assert kept.stored_bytes == kept.source_bytes
    assert classes["TIFF, CMYK without a profile"].stored_bytes < 0.8 * 4 * 200 * 201
