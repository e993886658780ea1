"""The main job with source and archive on S3, over real connections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rescaling_core.quality import metrics
from tasks.storage import open_store
from tests.command import Refold, RefoldHere, write_photographs
from tests.servers.endpoint import S3Endpoint
from tests.servers.proxy import proxy

pytestmark = pytest.mark.slow


def test_archive_twice_and_restore_on_s3(
    tmp_path: Path, refold: Refold, all_here: RefoldHere, s3_url: str
) -> None:
    source, archive = f"{s3_url}/my photos", f"{s3_url}/archive"
    keys = write_photographs(tmp_path, 3)
    collection = open_store(source)
    for key in keys:
        collection.put(key, (tmp_path / key).read_bytes())
    collection.put("broken.jpg", b"\xff\xd8\xff and then nothing")

    first = refold("archive", source, archive, "--target", "x2", "--json")
    assert first.code == 3, first.err
    assert (first.json["archived"], first.json["quarantined"]) == (3, 1)
    sent = first.json["s3_requests"]
    assert sent["read"] >= 4, "the sources, which only the workers read"
    assert sent["write"] >= 3, "the LR objects, likewise"
    assert sent["list"] >= 1
    assert first.json["s3_requests_usd"] > 0
    second = all_here("archive", source, archive, "--target", "x2", "--json")
    assert (second.code, second.json["archived"], second.json["unchanged"]) == (0, 0, 4)
    collection.put(keys[0], (tmp_path / keys[1]).read_bytes())
    third = all_here("archive", source, archive, "--target", "x2", "--json")
    assert (third.json["archived"], third.json["unchanged"]) == (1, 3)

    listed = all_here("ls", archive, "--json").json
    recorded = {row["source_key"]: row["psnr_y"] for row in listed if row["state"] == "archived"}
    assert sorted(recorded) == keys
    restored = all_here("restore", archive, f"{s3_url}/restored", "--all", "--json")
    assert restored.code == 0, restored.err
    destination = open_store(f"{s3_url}/restored")
    for output in restored.json["outputs"]:
        key = output["source_key"]
        (tmp_path / "restored.png").write_bytes(destination.get(key))
        (tmp_path / "source.png").write_bytes(collection.get(key))
        with (
            Image.open(tmp_path / "restored.png") as back,
            Image.open(tmp_path / "source.png") as was,
        ):
            measured = metrics.psnr_y(np.asarray(back), np.asarray(was))
        assert abs(measured - recorded[key]) <= 0.01


def test_missing_bucket_and_missing_credentials_are_one_line(
    refold: Refold, moto_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = refold("archive", "s3://no-such-bucket-here/x", str(tmp_path / "archive"))
    assert missing.code in (1, 2)
    assert "no-such-bucket-here" in missing.err
    assert "Traceback" not in missing.err
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    nobody = refold("archive", f"{moto_url}/x", str(tmp_path / "archive"))
    assert nobody.code in (1, 2)
    assert "credentials" in nobody.err
    assert "Traceback" not in nobody.err


def test_a_store_that_ignores_conditional_writes_is_refused(
    tmp_path: Path, refold: Refold, moto: S3Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photographs(tmp_path / "photos", 1)
    bucket = moto.new_bucket()
    with proxy(moto, drop=["If-None-Match"]) as careless:
        for name, value in careless.environment.items():
            monkeypatch.setenv(name, value)
        ran = refold("archive", str(tmp_path / "photos"), f"s3://{bucket}/archive")
    assert ran.code == 1
    (line,) = [line for line in ran.err.splitlines() if line.startswith("refold:")]
    assert "If-None-Match" in line
    assert "Contents" not in moto.client().list_objects_v2(Bucket=bucket)
