"""The evaluation job: rescalers over a folder of benchmark sets, by the papers' protocol."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from rescaling_core.codecs import CodecSpec
from tasks import progress
from tasks.evaluation import (
    BenchmarkSet,
    EvaluationOptions,
    EvaluationRow,
    evaluate_set,
    plot_rows,
    render_markdown,
    resolve,
    write_parquet,
)
from tasks.progress import Progress


@flow(name="evaluate", log_prints=False, validate_parameters=True)
def evaluate(
    sets_url: str, options: EvaluationOptions | None = None, out: str | None = None
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
