import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rescaling_core import zoo
from rescaling_core.errors import UsageError
from rescaling_core.model_ids import name_of
from tasks.jobs.evaluate import published
from tasks.jobs.evaluate.benchmark import (
    EvaluationOptions,
    codec_specs,
    evaluate_set,
    list_sets,
    resolve,
    served_scales,
)
from tasks.jobs.evaluate.tables import plot_rows, render_markdown, write_parquet


@pytest.fixture
def sets(tmp_path):
    rng = np.random.default_rng(0)
    for name, count in (("Set5", 2), ("mine", 1)):
        (tmp_path / name).mkdir()
        for number in range(count):
            small = rng.integers(0, 256, (10, 12, 3)).astype(np.uint8)
            image = Image.fromarray(small).resize((50, 41), Image.Resampling.BICUBIC)
            image.save(tmp_path / name / f"{number}.png")
    return str(tmp_path)


@pytest.fixture
def rows(sets):
    found = list_sets(sets)
    specs = codec_specs("jpeg-420", [90, 30])
    return [
        row
        for name in ("bicubic", "lanczos")
        for benchmark in found
        for row in evaluate_set(sets, benchmark, name, (2.0,), specs)
    ]


def test_every_folder_is_a_set_and_a_folder_of_images_is_one(sets):
    assert [(s.name, len(s.paths)) for s in list_sets(sets)] == [("Set5", 2), ("mine", 1)]
    assert [s.name for s in list_sets(sets, ["mine"])] == ["mine"]
    assert [s.name for s in list_sets(f"{sets}/Set5")] == ["Set5"]
    with pytest.raises(UsageError, match="no set Set14; there is Set5, mine"):
        list_sets(sets, ["Set14"])


def test_more_quality_costs_more_bits_and_restores_better(rows):
    assert len(rows) == 2 * 2 * 2
    by_quality = {row.quality: row for row in rows[:2]}
    assert by_quality[90].bpp > by_quality[30].bpp
    assert by_quality[90].psnr_y > by_quality[30].psnr_y
    assert all(row.codec == "jpeg-420" and row.scale == 2 for row in rows)


def test_the_bicubic_lr_image_counts_as_equal_to_itself(rows):
    assert all((row.lr_psnr_y is None) == (row.rescaler == "bicubic") for row in rows)


def test_published_figures_stand_below_ours_where_set_and_codec_agree(rows):
    text = render_markdown(rows)
    assert "### x2, jpeg-420" in text
    assert "| *SAIN, published* | 90 | 37.05 |" in text
    assert "mine (1)" in text
    lengths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(lengths) == 1
    other = render_markdown([row for row in rows if row.set == "mine"])
    assert "published" not in other


def test_published_figures_are_only_for_the_papers_codecs():
    assert {cell.method for cell in published.find("Set5", 2.0, "png", None)} >= {"Bicubic", "IRN"}
    assert published.find("Set5", 2.0, "avif", 90) == ()
    assert published.find("Set5", 3.0, "png", None) == ()


def test_the_table_is_read_back_as_it_was_written(rows, tmp_path):
    write_parquet(tmp_path / "rows.parquet", rows)
    read = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [(row["set"], row["quality"], row["psnr_y"]) for row in read] == [
        (row.set, row.quality, row.psnr_y) for row in rows
    ]
    plot_rows(tmp_path / "rows.png", rows)
    with Image.open(tmp_path / "rows.png") as plot:
        assert plot.width > plot.height


def test_what_cannot_be_measured_is_refused(sets):
    for options, complaint in (
        (EvaluationOptions(codec="gif"), "gif"),
        (EvaluationOptions(codec="png", qualities=(90,)), "png"),
        (EvaluationOptions(rescalers=("irn-x9",)), "irn-x9"),
        (EvaluationOptions(rescalers=("irn-x2-lite",), scales=(4.0,)), "irn-x2-lite"),
    ):
        with pytest.raises(UsageError, match=complaint):
            resolve(sets, options)
    with pytest.raises(UsageError, match="no such folder"):
        resolve(f"{sets}/nowhere", EvaluationOptions())


def test_all_bundled_rescalers_are_measured_at_their_own_scales_by_default(sets):
    _, rescalers, _ = resolve(sets, EvaluationOptions())
    assert {"bicubic", "irn-x2-lite", "irn-x4-lite"} <= set(map(name_of, rescalers))
    assert served_scales(zoo.load("irn-x4-lite").rescaler, ()) == [4.0]
    assert served_scales(zoo.load("bicubic").rescaler, ()) == [2.0, 4.0]
    assert served_scales(zoo.load("irn-x4-lite").rescaler, (2.0,)) == []
