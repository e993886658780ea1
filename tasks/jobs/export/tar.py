"""A tar shard as WebDataset reads it and `tar x` unpacks it: same samples, same bytes."""

from __future__ import annotations

import io
import json
import tarfile

from rescaling_core.photo import RestoredFile
from tasks.jobs.export.items import Item, member_name


class TarShard:
    """A shard in memory. Each sample has its image, and what is said of it as JSON."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - `data` closes it

    def add(self, item: Item, file: RestoredFile) -> None:
        """Add a sample."""
        name = member_name(item.entry.source_key)
        self._add(name + item.extension, file.data)
        if file.extras is not None:
            self._add(name + item.extension + file.extras_extension, file.extras)
        facts = json.dumps(dict(item.facts), ensure_ascii=True, allow_nan=False)
        self._add(f"{name}.json", facts.encode())

    def data(self) -> bytes:
        """The whole file; nothing can be added any more."""
        self._tar.close()
        return self._buffer.getvalue()

    def _add(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)  # owned by nobody, of 1970
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))
