"""The networks of an archive are checked, counted, put back, and relied on by `retire` alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from rescaling_core import zoo
from tasks.jobs.maintain.steps import keep_networks
from tasks.jobs.rebuild.steps import count_networks
from tasks.jobs.retire.worker import Claim, Proven, Unproven, Verifier
from tasks.jobs.scrub.steps import check_networks
from tasks.models import lookup
from tasks.renditions.networks import named_networks
from tests.small_archive import SmallArchive, small_archive


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    root = tmp_path_factory.mktemp("networks")
    return small_archive(str(root), root, count=1, targets=("x2", "x4", "long-edge=16"))


@pytest.fixture
def digest(made: SmallArchive) -> str:
    """The digest of one of its networks, which are all there."""
    keep_networks.fn(made.archive, made.catalog)
    return zoo.load("irn-x2-lite").weights_sha256


def test_an_archive_holds_the_networks_that_its_rows_name_and_says_how_to_use_them(
    made: SmallArchive, digest: str
) -> None:
    named = {one.rescaler for one in named_networks(made.catalog)}
    assert named == {"irn-x2-lite.2026-11", "irn-x4-lite.2026-11", "lanczos"}
    keys = {info.key for info in made.archive.list("models/")}
    assert len(keys) == 6
    assert {f"models/{digest}.{suffix}" for suffix in ("safetensors", "json", "onnx")} <= keys
    assert made.archive.exists("README.md")
    assert made.archive.exists("restore.py")
    assert count_networks.fn(made.archive, made.catalog) == (2, ())


@pytest.mark.parametrize("suffix", ["safetensors", "json", "onnx"])
def test_what_is_lost_of_a_network_is_found_and_put_back(
    made: SmallArchive, digest: str, suffix: str
) -> None:
    made.archive.delete(f"models/{digest}.{suffix}")
    found = check_networks.fn(made.archive_url, made.catalog, repair=False)
    assert [one.problem for one in found.findings] == ["network"]
    assert digest in found.findings[0].lr_key
    assert found.counts.unchanged == 0
    count, missing = count_networks.fn(made.archive, made.catalog)
    assert (count, len(missing)) == (2, 1)
    assert check_networks.fn(made.archive_url, made.catalog, repair=True).repaired == 1
    assert check_networks.fn(made.archive_url, made.catalog, repair=False).findings == ()
    made.archive.delete(f"models/{digest}.{suffix}")
    assert keep_networks.fn(made.archive, made.catalog).networks == 1
    assert keep_networks.fn(made.archive, made.catalog).networks == 0


def test_a_network_that_is_nowhere_stays_missing_and_is_said_to_be(
    made: SmallArchive, digest: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(zoo, "WEIGHTS_DIR", tmp_path)
    made.archive.delete(f"models/{digest}.safetensors")
    repaired = check_networks.fn(made.archive_url, made.catalog, repair=True)
    assert (len(repaired.findings), repaired.repaired) == (1, 0)
    assert keep_networks.fn(made.archive, made.catalog).networks == 0


def test_no_source_is_deleted_whose_network_the_archive_does_not_hold_itself(
    made: SmallArchive, digest: str
) -> None:
    (source,) = made.source.list()
    rows = tuple(row for row in made.rows() if row.target == "x2")
    claim = Claim(source=source, rows=rows)  # type: ignore[arg-type]
    assert isinstance(Verifier(made.source_url, made.archive_url).verify(claim), Proven)
    made.archive.delete(f"models/{digest}.onnx")
    lookup._HELD.clear()
    refused = Verifier(made.source_url, made.archive_url).verify(claim)
    assert isinstance(refused, Unproven)
    assert "is not in the archive" in refused.reason
