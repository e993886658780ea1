"""A small archive with a rendition of every kind, each cut into several tiles.

Made in this process by the same code as the golden archive, whose pictures and tiny networks it
takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from skimage import data as photographs

from rescaling_core import SOFTWARE
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Rendition, convert
from rescaling_core.photo import decode_photo
from rescaling_core.pixels.tiles import Tiling
from rescaling_core.plan import ArchivePlan, Candidate, Floor, Target, TargetPlan
from tasks.catalog import open_catalog
from tasks.collection.shards import SourceObject
from tasks.control.record import Counts, JobRun, write_run
from tasks.models.archived import settle
from tasks.renditions.rows import RowWriter
from tasks.renditions.writing import put_rendition
from tasks.storage import open_store
from tests.golden.make import CASES as GOLDEN
from tests.golden.make import SOURCES, plan_of, write_networks
from tests.unit import photo_samples as samples

TILING: Final = Tiling(tile=24, overlap=6)

_WIDE: Final = "wide.png"

_ONE_EACH: Final = [
    case
    for case in GOLDEN
    if case.rescaler != "tiny-irn-x2"
    or case.residual in ("webp", "avif")
    or case.colour
    or (case.codec == "png" and case.source in ("logo.png", "photo.png") and not case.refinement)
    or (case.codec == "jpeg" and case.source.startswith("phone"))
]


@dataclass(frozen=True)
class EveryRescaler:
    """Where it lies, and where its sources do."""

    url: str
    sources_url: str


def photograph() -> bytes:
    """A picture wider than one pass of a restorer."""
    pixels = np.ascontiguousarray(photographs.coffee()[60:260, :530])
    return samples.written(Image.fromarray(pixels), "PNG")


def make(folder: Path) -> EveryRescaler:
    """Write sources and archive into a folder."""
    (folder / "networks").mkdir()
    paths = write_networks(folder / "networks")
    cases = [
        (f"{number:02} {case.rescaler}/{case.source}", SOURCES[case.source], case.target,
         plan_of(case, paths.get(case.rescaler, case.rescaler)))
        for number, case in enumerate(_ONE_EACH)
    ]  # fmt: skip
    restored = Candidate(
        "none", CodecSpec.parse("avif-420"), qualities=(20, 80), restorer="restorer-avif-lite"
    )
    target = TargetPlan(target=Target.parse("x2"), candidates=(restored,), floor=Floor(psnr_y=34.2))
    cases.append((f"restored/{_WIDE}", photograph(), "x2", ArchivePlan(targets=(target,))))
    made = write(folder, cases)
    record = next(open_catalog(open_store(made.url)).rows(keys=[f"restored/{_WIDE}"]))
    assert '"restorer-avif-lite' in (record.metadata_json or "")
    return made


def write(
    folder: Path, cases: Sequence[tuple[str, bytes, str, ArchivePlan]], tiling: Tiling = TILING
) -> EveryRescaler:
    """Archive files of (key, bytes, target), each by a plan of its own."""
    made = EveryRescaler(str(folder / "archive"), str(folder / "sources"))
    archive, sources = open_store(made.url), open_store(made.sources_url)
    catalog = open_catalog(archive)
    rows = []
    for key, data, name, wanted in cases:
        sources.put(key, data)
        plan, models = settle(wanted, archive)
        # Small pictures are said to be larger than they are: every rendition of them is.
        size = len(data) if len(data) > 50_000 else 10**6
        source = SourceObject(key=key, size=size, etag=sources.info(key).etag)
        record = RowWriter("run-1", "shard-1", source, (name,), data)
        outcome = convert(
            decode_photo(data), record.source_ref, plan.targets[0], models,
            software=SOFTWARE, tiling=tiling, data=data,
        )  # fmt: skip
        assert isinstance(outcome, Rendition), (key, outcome)
        place = put_rendition(archive, key, outcome)
        rows.append(replace(record.archived(outcome, place), seconds=0.0))
    catalog.commit_shard("shard-1", rows)
    run = JobRun(job="archive", run_id="run-1", parameters={"source": made.sources_url})
    write_run(catalog, run, Counts(listed=len(rows), archived=len(rows)))
    return made
