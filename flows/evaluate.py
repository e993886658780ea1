"""The evaluation job: rescalers over a folder of benchmark sets, by the papers' protocol."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from rescaling_core.codecs import CodecSpec
from tasks.control import progress
from tasks.control.progress import Progress
from tasks.jobs.evaluate.benchmark import (
    BenchmarkSet,
    EvaluationOptions,
    EvaluationRow,
    evaluate_set,
    resolve,
)
from tasks.jobs.evaluate.rates import (
    RatePoint,
    full_size_points,
    plot_rates,
    render_rates,
    rescaled_points,
)
from tasks.jobs.evaluate.tables import plot_rows, render_markdown, write_parquet
from tasks.storage.addresses import Address


@flow(name="evaluate", log_prints=False, validate_parameters=True)
def evaluate(
    sets_url: Address, options: EvaluationOptions | None = None, out: str | None = None
) -> list[EvaluationRow]:
    """Measure rescalers over benchmark sets.

    Args:
        sets_url: URL or path of a folder with one folder of images for each set.
        options: What to measure.
        out: Folder to write `evaluation.parquet`, `.md` and `.png` to; by default none.

    Raises:
        UsageError: No such folder, set, rescaler, codec or quality, or nothing that is served.
    """
    options = options or EvaluationOptions()
    sets, rescalers, specs = resolve(sets_url, options)
    rows: list[EvaluationRow] = []
    for number, name in enumerate(rescalers):
        rows += evaluate_rescaler(sets_url, sets, name, options.scales, specs)
        progress.report(Progress(step="evaluate", done=number + 1, total=len(rescalers)))
    if out is not None:
        write_tables(Path(out), rows)
    return rows


@flow(name="rate-distortion", log_prints=False, validate_parameters=True)
def rate_distortion(
    sets_url: Address, options: EvaluationOptions | None = None, out: str | None = None
) -> list[RatePoint]:
    """Draw rescalers with one codec for the LR files against full-size files of all codecs.

    Args:
        sets_url: URL or path of a folder with one folder of images for each set.
        options: What to measure; rescalers that are plain filters count like any other.
        out: Folder to write `rate-distortion.md` and `.png` to; by default none.

    Raises:
        UsageError: As `evaluate`.
    """
    options = options or EvaluationOptions()
    sets, rescalers, _ = resolve(sets_url, options)
    points = draw_full_size(sets_url, sets)
    for number, name in enumerate(rescalers):
        points += draw_rescaled(sets_url, sets, name, options.codec, options.qualities)
        progress.report(Progress(step="evaluate", done=number + 1, total=len(rescalers)))
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rate-distortion.md").write_text(render_rates(points), encoding="utf-8")
        plot_rates(folder / "rate-distortion.png", points)
    return points


@task(name="full-size codecs", cache_policy=NO_CACHE)
def draw_full_size(sets_url: str, sets: list[BenchmarkSet]) -> list[RatePoint]:
    """The curves of the usual codecs over all sets."""
    return [point for benchmark in sets for point in full_size_points(sets_url, benchmark)]


@task(name="rescaled curve", task_run_name="rescaled curve {name}", cache_policy=NO_CACHE)
def draw_rescaled(
    sets_url: str,
    sets: list[BenchmarkSet],
    name: str,
    codec: str,
    qualities: tuple[int, ...],
) -> list[RatePoint]:
    """The curve of one rescaler over all sets."""
    curves = [rescaled_points(sets_url, one, name, codec, qualities) for one in sets]
    return [point for curve in curves for point in curve]


@task(name="evaluate rescaler", task_run_name="evaluate {name}", cache_policy=NO_CACHE)
def evaluate_rescaler(
    sets_url: str,
    sets: list[BenchmarkSet],
    name: str,
    scales: tuple[float, ...],
    specs: list[CodecSpec],
) -> list[EvaluationRow]:
    """Measure one rescaler over all sets."""
    rows = [evaluate_set(sets_url, benchmark, name, scales, specs) for benchmark in sets]
    return [row for of_set in rows for row in of_set]


@task(name="write tables", cache_policy=NO_CACHE)
def write_tables(folder: Path, rows: list[EvaluationRow]) -> None:
    """Write the rows as Parquet, Markdown and PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(folder / "evaluation.parquet", rows)
    (folder / "evaluation.md").write_text(render_markdown(rows), encoding="utf-8")
    plot_rows(folder / "evaluation.png", rows)
