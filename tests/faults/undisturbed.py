"""What a run should have come to, whether it did, and how it is disturbed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from tests.command import Refold, write_photographs

SABOTAGE = str(Path(__file__).parent / "sabotage")
"""On the path of a run, its `sitecustomize` lets it be struck; see there for the orders."""

TARGETS = ("--target", "x2", "--target", "long-edge=64")
IN_PACKS = """
[[targets]]
target = "x2"
store = "packs"
candidates = [{ rescaler = "irn-x2-lite", codec = "png" }]

[[targets]]
target = "long-edge=64"
store = "packs"
"""
"""The same targets, in packs."""
Kept = Literal["objects", "packs"]
"""As what LR files are stored; a run ends with the same rows but for where they lie."""
STABLE = ("state", "lr_key", "lr_bytes", "reason", "psnr_y", "ssim_y", "rescaler", "codec")
"""Of a row, what no disturbance may change; run, shard and time of the commit may differ."""

Rows = dict[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True)
class Undisturbed:
    """A collection, and the catalog of a run over it that nothing happened to."""

    photos: Path
    rows: Rows
    seconds: float
    """That the run took."""

    @property
    def sources(self) -> int:
        return len({key for key, _ in self.rows})

    def arguments(self, archive: str | Path, store: Kept = "objects") -> tuple[str, ...]:
        """Of the run, into another archive."""
        what = TARGETS if store == "objects" else ("--plan", str(self.photos.parent / "packs.toml"))
        return ("archive", str(self.photos), str(archive), *what)

    def check(self, refold: Refold, archive: Path) -> None:
        """Hold an archive against it, and each of its rows against the LR file it names."""
        found = read_rows(refold, archive)
        self.check_rows(found)
        for row in found.values():
            if row["state"] == "archived":
                data, digest = _lr_file(archive, row), PurePosixPath(row["lr_key"]).stem
                assert len(data) == row["lr_bytes"]
                assert sha256(data).hexdigest().startswith(digest)

    def check_rows(self, found: Rows) -> None:
        assert found.keys() == self.rows.keys()
        for key, row in self.rows.items():
            assert {n: found[key][n] for n in STABLE} == {n: row[n] for n in STABLE}, key


def undisturbed_run(refold: Refold, reader: Refold, folder: Path, count: int) -> Undisturbed:
    """Archive as many photographs, and one that is broken.

    Args:
        refold: Archives.
        reader: Reads the catalog.
        folder: Of the collection and its archive.
        count: Of the photographs.
    """
    write_photographs(folder / "photos", count)
    (folder / "packs.toml").write_text(IN_PACKS)
    (folder / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    started = time.monotonic()
    ran = refold("archive", str(folder / "photos"), str(folder / "archive"), *TARGETS)
    assert ran.code == 3, (ran.code, ran.err)
    seconds = time.monotonic() - started
    return Undisturbed(folder / "photos", read_rows(reader, folder / "archive"), seconds)


def _lr_file(archive: Path, row: dict[str, Any]) -> bytes:
    if row["pack_key"] is None:
        return (archive / row["lr_key"]).read_bytes()
    pack, start = (archive / row["pack_key"]).read_bytes(), row["pack_offset"]
    return pack[start : start + row["lr_bytes"]]


def read_rows(refold: Refold, archive: str | Path) -> Rows:
    """The catalog by source and target."""
    rows = refold("ls", str(archive), "--json").json
    by_key = {(row["source_key"], row["target"]): row for row in rows}
    assert len(by_key) == len(rows), "a source is listed twice for one target"
    return by_key


def sabotaged(refold: Refold, order: str, folder: Path) -> Refold:
    """The command, with something happening to it."""
    mark = folder / "struck"
    return refold.within(
        {
            "PYTHONPATH": SABOTAGE,
            "REFOLD_SABOTAGE": order,
            "REFOLD_SABOTAGE_MARK": str(mark),
        }
    )
