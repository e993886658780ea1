"""A PNG with a chunk of 257 MiB is kept, and what is sorted after it is archived.

What is carried was found to be too much when the LR file was written, and the error ended the run.
"""

from __future__ import annotations

import io
import resource
import struct
import sys
import zlib
from pathlib import Path

import pytest

from tests.command import photograph
from tests.small_archive import SmallArchive

pytestmark = pytest.mark.slow

MIB = 2**20
LENGTH = 257 * MIB


def _write(path: Path, kind: bytes) -> None:
    """A photograph with a chunk of zeros behind its header; as a file it is mostly a hole."""
    file = io.BytesIO()
    photograph("chelsea", 60, 80).save(file, "PNG")
    data = file.getvalue()
    check = zlib.crc32(kind)
    for _ in range(LENGTH // MIB):
        check = zlib.crc32(bytes(MIB), check)
    with path.open("wb") as out:
        out.write(data[:33] + struct.pack(">L", LENGTH) + kind)
        out.seek(LENGTH, io.SEEK_CUR)
        out.write(struct.pack(">L", check) + data[33:])


@pytest.mark.parametrize("kind", [b"prVt", b"tEXt", b"zTXt", b"iCCP", b"eXIf", b"caBX"])
def test_the_run_goes_on(tmp_path: Path, kind: bytes) -> None:
    source = tmp_path / "source"
    source.mkdir()
    _write(source / "a.png", kind)
    photograph("coffee", 60, 80).save(source / "b.png")
    made = SmallArchive(str(source), str(tmp_path / "archive"))
    made.run("x2")
    rows = {row.source_key: row for row in made.rows()}
    assert rows["b.png"].state == "archived"
    assert rows["a.png"].state in ("kept", "quarantined")
    reason = rows["a.png"].reason or ""
    assert reason
    assert len(reason) < 300
    if sys.platform == "linux":  # kibibytes
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 6 * MIB
