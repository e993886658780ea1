"""An archive of tiny photographs, made in this process: no Ray, no Prefect server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tasks.catalog import Catalog, CatalogRow, open_catalog
from tasks.catalog.difference import Doubtful
from tasks.catalog.digests import append_digests, merge_digests
from tasks.collection.listing import EVERYTHING, Selection
from tasks.control.record import Counts, JobRun, write_run
from tasks.jobs.archive.steps import find_pending, shards_of
from tasks.jobs.archive.worker import ConversionJob, ShardConverter
from tasks.jobs.restore.choosing import choose, requests_of
from tasks.jobs.restore.requests import NotRestored, RestoreRequest
from tasks.models.archived import settle
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import Store, open_store
from tests.command import photograph


class HerePool:
    """Stands in for a `WorkerPool`: the worker's method is called in this process."""

    def __init__(self, method: Callable[[Any], Any]) -> None:
        self._method = method

    def run(self, jobs: Iterable[Any]) -> Iterator[Any]:
        yield from map(self._method, jobs)


@dataclass(frozen=True)
class SmallArchive:
    """Where it lies; stores are opened anew, as a later run would."""

    source_url: str
    archive_url: str

    @property
    def source(self) -> Store:
        return open_store(self.source_url)

    @property
    def archive(self) -> Store:
        return open_store(self.archive_url)

    @property
    def catalog(self) -> Catalog:
        return open_catalog(self.archive, create=False)

    def rows(self) -> list[CatalogRow]:
        return list(self.catalog.rows())

    def requests(
        self, keys: Sequence[str] = (), target: str | None = None
    ) -> tuple[list[RestoreRequest], list[NotRestored]]:
        """What `refold restore` gives its workers, and what it cannot restore."""
        chosen, missing = choose(self.archive_url, keys, None, target)
        return list(requests_of(self.catalog, chosen)), missing

    def tell_where_sources_lie(self) -> None:
        """What an archive run does about sources that were copied with their times."""
        listed = {info.key: info for info in self.source.list()}
        latest = {row.source_key: row for row in self.rows() if row.source_key in listed}
        self.catalog.refresh_marks(
            [
                Doubtful(key, row.source_size, listed[key].etag, row.source_sha256 or "")
                for key, row in latest.items()
            ]
        )
        append_digests(self.archive, "copied")
        merge_digests(self.archive, "copied")

    def run(
        self,
        *targets: str,
        run_id: str = "run-1",
        selection: Selection = EVERYTHING,
        max_pixels: int = 10**6,
        floor: Sequence[str] = (),
        preset: str | None = None,
        plan: str | None = None,
    ) -> None:
        """What `refold archive` does, in this process; a preset or a plan's text takes the place
        of targets."""
        asked_for = PlanOptions(
            preset=preset,
            plan_toml=plan,
            targets=targets,
            max_pixels=max_pixels,
            floor=tuple(floor),
        )
        wanted = build_plan(asked_for)
        settled, models = settle(wanted, self.archive)
        job = ConversionJob(
            source_url=self.source_url,
            archive_url=self.archive_url,
            plan=settled,
            run_id=run_id,
            models=models,
            follow_links=selection.follow_links,
            include_renditions=selection.include_renditions,
            asked=wanted,
        )
        catalog = open_catalog(self.archive)
        torch.set_num_threads(1)  # more would only wait for each other on images this small
        converter = ShardConverter(job)
        source = open_store(self.source_url, follow_links=selection.follow_links)
        pending = find_pending.fn(source, catalog, wanted, selection)
        for shard in shards_of(pending, settled, 1):
            catalog.commit_shard(shard.shard_id, converter.convert(shard).rows)
        asked = {"source": self.source_url, "plan": asdict(settled)}
        run = JobRun(job="archive", run_id=run_id, parameters=asked)
        write_run(catalog, run, Counts())


def copied(template: Path, folder: Path) -> SmallArchive:
    """A local archive and its source once more, and the catalog told that they were copied."""
    for name in ("photos", "archive"):
        shutil.copytree(template / name, folder / name)
    copy = SmallArchive(f"{folder}/photos", f"{folder}/archive")
    copy.tell_where_sources_lie()
    return copy


def small_archive(
    root: str, scratch: Path, count: int = 3, targets: Sequence[str] = ("x2",)
) -> SmallArchive:
    """Photographs of 48x40 pixels in `<root>/photos`, archived in `<root>/archive`."""
    made = SmallArchive(f"{root}/photos", f"{root}/archive")
    for i in range(count):
        sample = ("chelsea", "astronaut", "coffee", "camera")[i % 4]
        path = scratch / "photo.png"
        photograph(sample, 40, 48, 30 + 5 * i, 60 + 7 * i).save(path)
        made.source.put(f"roll {i % 2}/photo {i}.png", path.read_bytes())
    path.unlink()
    made.run(*targets)
    return made
