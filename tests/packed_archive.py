"""An archive of sources whose files are packed, and the two ways in which these come back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.catalog import Archived
from tasks.collection.listing import scan
from tasks.collection.shards import SourceObject
from tasks.jobs.restore.requests import RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer
from tasks.models.without_refold import restore as restore_script
from tests.small_archive import SmallArchive


def packed_archive(
    root: Path, files: Mapping[str, bytes], *, preset: str | None = None, plan: str | None = None
) -> SmallArchive:
    """Files in `<root>/photos`, archived in `<root>/archive` by a preset or the text of a plan."""
    made = SmallArchive(f"{root}/photos", f"{root}/archive")
    for key, content in files.items():
        made.source.put(key, content)
    made.run(preset=preset, plan=plan)
    return made


def rows_by(made: SmallArchive, rescalers: Mapping[str, str]) -> dict[str, Archived]:
    """The rows of full size by source key; each is by the rescaler that is expected."""
    rows = {row.source_key: row for row in made.rows() if row.target == "x1"}
    archived = {key: row for key, row in rows.items() if isinstance(row, Archived)}
    assert {key: row.rescaler for key, row in archived.items()} == rescalers, rows
    return archived


def listed(made: SmallArchive) -> dict[str, SourceObject]:
    """The sources as a run lists them, by key."""
    found = (SourceObject(**one) for batch in scan(made.source) for one in batch.to_pylist())
    return {source.key: source for source in found}


def restored_files(made: SmallArchive, folder: Path) -> dict[str, bytes]:
    """What `refold restore` writes for each source, under the source's own key."""
    requests, missing = made.requests()
    assert not missing
    job = RestorationJob(archive_url=made.archive_url, destination_url=str(folder), overwrite=False)
    restorer, found = Restorer(job), {}
    for request in requests:
        restored = restorer.restore(request)
        assert isinstance(restored, Restored), restored
        assert restored.output_key == request.source_key
        found[request.source_key] = (folder / restored.output_key).read_bytes()
    return found


def files_by_script(made: SmallArchive, rows: Sequence[Archived], folder: Path) -> dict[str, bytes]:
    """What the `restore.py` of the archive writes for each source, without Refold."""
    script = Path(restore_script.__file__)
    lr_files = [f"{made.archive_url}/{row.lr_key}" for row in rows]
    command = [sys.executable, str(script), *lr_files, "--out", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return {row.source_key: (folder / "x1" / row.source_key).read_bytes() for row in rows}
