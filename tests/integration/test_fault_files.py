"""Every fault file archived, proven as `retire` proves it, and restored, in this process."""

from __future__ import annotations

import re
from collections import defaultdict
from math import inf
from pathlib import Path

import pytest

from rescaling_core.photo.beside import unzipped
from rescaling_core.repack import same_file
from tasks.catalog import CatalogRow
from tasks.collection.shards import SourceObject
from tasks.jobs.restore.requests import RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer
from tasks.jobs.retire.worker import Claim, Proven, Verifier
from tests.fault_files import faults, unpacked
from tests.small_archive import SmallArchive


@pytest.mark.slow
@pytest.mark.parametrize("preset", [None, "lossless"])
def test_what_retire_would_delete_comes_back_with_all_that_it_held(
    tmp_path: Path, preset: str | None
) -> None:
    """What the lossless preset archives comes back to the last sample."""
    source, restored = tmp_path / "source", tmp_path / "restored"
    source.mkdir()
    names = {re.sub(r"[^a-z0-9]+", "-", name): fault for name, fault in faults().items()}
    for key, fault in names.items():
        (source / key).write_bytes(fault.data)
    made = SmallArchive(str(source), str(tmp_path / "archive"))
    made.run("x2", preset=preset)

    rows: dict[str, list[CatalogRow]] = defaultdict(list)
    for row in made.rows():
        rows[row.source_key].append(row)
    assert rows.keys() == names.keys()
    packed = {key for key, (row,) in rows.items() if getattr(row, "rescaler", None) == "repack"}
    assert bool(packed) == (preset == "lossless")
    wrong = {
        key: row
        for key, (row,) in rows.items()
        if row.state not in names[key].right
        and key not in packed  # the very file comes back, whatever it holds
        # What a plan cannot make smaller it keeps, whatever the file holds.
        and not (row.state == "kept" and "not smaller" in row.reason)
    }
    assert not wrong

    job = RestorationJob(
        archive_url=made.archive_url, destination_url=str(restored), overwrite=False
    )
    restorer, verifier = Restorer(job), Verifier(made.source_url, made.archive_url)
    requests, _ = made.requests()
    assert requests
    for request in requests:
        key = request.source_key
        (row,) = rows[key]
        listed = SourceObject(
            key=key,
            size=row.source_size,
            etag=row.source_etag,
        )
        proven = verifier.verify(Claim(source=listed, rows=(row,)))
        assert isinstance(proven, Proven), proven
        output = restorer.restore(request)
        assert isinstance(output, Restored), output
        if preset == "lossless":
            assert output.psnr_y == inf, key
        file = (restored / output.output_key).read_bytes()
        if key in packed:
            assert same_file(file, names[key].data), key
            continue
        held = unpacked(file) if file.startswith(b"\x89PNG") else file
        if output.extras_key is not None:
            parts = unzipped((restored / output.extras_key).read_bytes())
            held += b"".join(part.data for part in parts)
        for expected in names[key].back:
            assert expected in held, key
