"""Every fault file through `archive`, `retire` twice, and `restore`, as an owner types them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rescaling_core.photo import MOST_CARRIED, decode_photo
from rescaling_core.photo.beside import unzipped
from rescaling_core.quality.comparison import compare
from rescaling_core.repack import same_file
from tests.command import Refold, RefoldHere
from tests.fault_files import Fault, faults, unpacked
from tests.faults.undisturbed import sabotaged

pytestmark = pytest.mark.slow

RETIRE = ("--older-than", "0h", "--grace", "1h", "--yes")


def _written(folder: Path) -> dict[str, Fault]:
    folder.mkdir()
    by_key = {re.sub(r"[^a-z0-9]+", "-", name): fault for name, fault in faults().items()}
    for key, fault in by_key.items():
        (folder / key).write_bytes(fault.data)
    return by_key


@pytest.mark.parametrize(
    "plan", [("--target", "x2"), ("--preset", "lossless")], ids=["x2", "lossless"]
)
def test_what_retire_deletes_comes_back_with_all_that_it_held(
    refold: Refold, all_here: RefoldHere, tmp_path: Path, plan: tuple[str, ...]
) -> None:
    source, archive, dest = (tmp_path / name for name in ("source", "archive", "restored"))
    files = _written(source)
    archived = all_here("archive", str(source), str(archive), *plan, "--json")
    assert archived.code == 3, archived.err  # some are damaged
    rows = {row["source_key"]: row for row in all_here("ls", str(archive), "--json").json}
    assert rows.keys() == files.keys()
    states = {key: row["state"] for key, row in rows.items()}
    # What a plan cannot make smaller it keeps, whatever the file holds.
    packed = {key for key, row in rows.items() if row["rescaler"] == "repack"}
    assert bool(packed) == ("--preset" in plan)
    wrong = {
        key: rows[key]["reason"]
        for key in files.keys() - packed
        if states[key] not in files[key].right
    }
    assert all("not smaller" in reason for reason in wrong.values()), wrong
    assert all(rows[key]["reason"] for key, state in states.items() if state != "archived")

    # The first run marks; by the clock of the second that was a day ago.
    marking = sabotaged(refold, "clock:before:settle:1", tmp_path)
    marked = marking("retire", str(source), str(archive), *RETIRE, "--json")
    assert marked.code == 0, marked.err
    assert (marked.json["deleted"], marked.json["unproven"]) == (0, [])
    retired = all_here("retire", str(source), str(archive), *RETIRE, "--json")
    assert retired.code == 0, retired.err
    deleted = {key for key in files if not (source / key).exists()}
    assert deleted == {key for key, state in states.items() if state == "archived"}
    assert retired.json["deleted"] == len(deleted) > 0

    restored = all_here("restore", str(archive), str(dest), "--all", "--json")
    assert restored.code == 0, restored.err
    outputs = {output["source_key"]: output for output in restored.json["outputs"]}
    assert outputs.keys() == deleted
    for key in deleted:
        _check(files[key], outputs[key], key, exact="--preset" in plan)


def _check(fault: Fault, output: dict[str, str | None], key: str, *, exact: bool) -> None:
    """Hold a restored file, and what lies beside it, against the file that was deleted."""
    file = Path(str(output["path"])).read_bytes()
    if exact and same_file(file, fault.data):  # it was packed: there is nothing more to ask
        return
    before, after = (
        decode_photo(data, max_pixels=10**6, max_carried=MOST_CARRIED)
        for data in (fault.data, file)
    )
    compared = compare(after, before)
    if exact:
        assert compared.max_abs_error == 0, key
    else:
        assert compared.psnr_y == pytest.approx(float(str(output["psnr_y"])), abs=1e-3), key
    held = unpacked(file) if file.startswith(b"\x89PNG") else file
    if output["extras"] is not None:
        parts = unzipped(Path(output["extras"]).read_bytes())
        held += b"".join(part.data for part in parts)
    for expected in fault.back:
        assert expected in held, key
