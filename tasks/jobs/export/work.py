"""The export itself: from an archive into a folder or tar shards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from rescaling_core.photo import RestoredFile
from tasks.catalog import Catalog, open_catalog
from tasks.control.outcomes import Failure, outcome_of
from tasks.control.progress import Progress, report
from tasks.jobs.export.check import Request
from tasks.jobs.export.content import Content, Contents
from tasks.jobs.export.items import Item, digest_of, file_names, items_of, not_found, shards_of
from tasks.jobs.export.marker import begin
from tasks.jobs.export.tar import TarShard
from tasks.renditions.names import extended
from tasks.storage import Store, UnstorableKeyError, open_store

METADATA: Final = "metadata.jsonl"
"""What Hugging Face's `imagefolder` reads beside the images."""
_MB: Final = 10**6


@dataclass(slots=True, kw_only=True)
class Exported:
    """What an export did."""

    exported: int = 0
    """Images that were written."""
    there_before: int = 0
    """Images that an earlier, interrupted call had written."""
    shards: int = 0
    """Tar shards that are there."""
    nbytes: int = 0
    """Bytes that were written."""
    failures: dict[str, str] = field(default_factory=dict)
    """By source key, why it is missing."""


def export(request: Request) -> Exported:
    """Write the images of an archive elsewhere. One that cannot be read stops none of the others.

    Args:
        request: What was asked for, and found to be possible by `check`.

    Raises:
        UsageError: Another export lies at the destination, or something else.
        StorageError: A store failed. What is written by then is not written again.
    """
    catalog = open_catalog(open_store(request.archive), create=False)
    items = items_of(catalog, request)
    destination = open_store(request.dest, follow_links=True)
    goes_on = begin(destination, request, digest_of(items))
    missing = not_found(items, request.keys)
    run = _Run(catalog, destination, request, total=len(items), goes_on=goes_on)
    if request.layout == "webdataset":
        for number, shard in enumerate(shards_of(items, request.shard_mb * _MB)):
            run.shard(number, shard)
    else:
        run.folder(items)
    run.done.failures |= dict.fromkeys(missing, "nothing of it is stored that could be exported")
    return run.done


class _Run:
    """An export that is under way."""

    def __init__(
        self, catalog: Catalog, destination: Store, request: Request, *, total: int, goes_on: bool
    ) -> None:
        self._destination, self._request = destination, request
        self._contents = Contents(catalog.store, restored=request.size == "hr")
        self._total, self._goes_on, self._seen = total, goes_on, 0
        self.done = Exported()

    def shard(self, number: int, items: Sequence[Item]) -> None:
        """Write a shard, unless it is there with all of its images."""
        name = f"shard-{number:06}.tar"
        lacking = f"shard-{number:06}.missing.json"
        self.done.shards += 1
        if self._goes_on and self._is_whole(name, lacking):
            self._pass_over(len(items))
            return
        shard, missing = TarShard(), dict[str, str]()
        for content in self._contents.of(items):
            key, outcome = content.item.entry.source_key, content.outcome
            if isinstance(outcome, Failure):
                missing[key] = str(outcome)
            else:
                shard.add(content.item, outcome)
            self._count(content)
        if missing:  # before the shard, so that no shard seems whole that is not
            self._destination.put(lacking, json.dumps(missing, indent=1).encode())
        data = shard.data()
        self._destination.put(name, data)
        if not missing and self._goes_on:
            self._destination.delete(lacking)
        self.done.nbytes += len(data)

    def folder(self, items: Sequence[Item]) -> None:
        """Write files under their keys, those that are not there."""
        names = dict(zip((one.entry.source_key for one in items), file_names(items), strict=True))
        left = [one for one in items if not self._is_there(names[one.entry.source_key])]
        self._pass_over(len(items) - len(left))
        for content in self._contents.of(left):
            name, outcome = names[content.item.entry.source_key], content.outcome
            if not isinstance(outcome, Failure):
                content = replace(
                    content, outcome=outcome_of(name, partial(self._write, name, outcome))
                )
            self._count(content)
        if self._request.layout == "hf":
            there = (one for one in items if one.entry.source_key not in self.done.failures)
            lines = (_line(names[one.entry.source_key], one) for one in there)
            self._destination.put(METADATA, "".join(lines).encode())

    def _write(self, name: str, file: RestoredFile) -> RestoredFile:
        """Write a file, and first what lies beside it."""
        if file.extras is not None:
            self._destination.put(extended(name, file.extras_extension), file.extras)
        self._destination.put(name, file.data)
        self.done.nbytes += len(file.data)
        return file

    def _is_whole(self, name: str, lacking: str) -> bool:
        return self._destination.exists(name) and not self._destination.exists(lacking)

    def _is_there(self, name: str) -> bool:
        try:
            return self._goes_on and self._destination.exists(name)
        except UnstorableKeyError:  # told when it is to be written
            return False

    def _count(self, content: Content) -> None:
        if isinstance(content.outcome, Failure):
            self.done.failures[content.item.entry.source_key] = str(content.outcome)
        else:
            self.done.exported += 1
        self._tell(1)

    def _pass_over(self, count: int) -> None:
        self.done.there_before += count
        self._tell(count)

    def _tell(self, count: int) -> None:
        self._seen += count
        report(Progress(step="export", done=self._seen, total=self._total))


def _line(name: str, item: Item) -> str:
    return json.dumps({"file_name": name, **dict(item.facts)}, allow_nan=False) + "\n"
