"""The evaluation job: rescalers over a folder of benchmark sets, by the papers' protocol."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec  # noqa: TC001 - Prefect reads it
from rescaling_core.errors import UsageError
from tasks import progress
from tasks.evaluation import (
    BenchmarkSet,
    EvaluationRow,
    codec_specs,
    evaluate_set,
    list_sets,
    plot_rows,
    render_markdown,
    served_scales,
    write_parquet,
)
from tasks.models import load_model
from tasks.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What to measure."""

    rescalers: tuple[str, ...] = ()
    """Ids or weights files; by default all that ship with Refold."""
    scales: tuple[float, ...] = ()
    """By default each rescaler's own; of those for a range, 2 and 4."""
    codec: str = "png"
    """As `CodecSpec.parse` reads it; the papers' JPEG is `jpeg-420`."""
    qualities: tuple[int, ...] = ()
    """By default the codec's own."""
    sets: tuple[str, ...] = ()
    """Names of folders; by default all."""


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
    sets = list_sets(sets_url, options.sets)
    specs = codec_specs(options.codec, options.qualities)
    rescalers = options.rescalers or tuple(card.id for card in zoo.list_models())
    for name in rescalers:
        if not served_scales(load_model(name).rescaler, options.scales) and options.rescalers:
            wanted = ", ".join(f"x{scale:g}" for scale in options.scales)
            raise UsageError(f"rescaler {name}: serves none of the scales {wanted}")
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
