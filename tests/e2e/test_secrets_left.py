"""No byte that a whole run leaves holds the credentials it was run with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import Refold, write_photographs
from tests.servers.endpoint import S3Endpoint

pytestmark = pytest.mark.slow

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI-the-secret-key",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzE-the-session-token",
}
REFUSED = "kept-out-of-every-log"


def test_what_a_run_leaves_holds_no_credentials(tmp_path: Path, moto: S3Endpoint) -> None:
    """In the archive, at home, in Prefect's database, the reports, logs and temporary files."""
    home, temporary, photos = (tmp_path / name for name in ("home", "tmp", "photos"))
    for folder in (home, temporary):
        folder.mkdir()
    write_photographs(photos, 2)
    bucket = moto.new_bucket()
    archive, dest = f"s3://{bucket}/archive", str(tmp_path / "restored")
    refold = Refold(
        moto.environment
        | SECRETS
        | {"HOME": str(home), "XDG_CACHE_HOME": "", "TMPDIR": str(temporary)}
    )
    address = f"s3://AKIAEXAMPLE:{REFUSED}@{bucket}/archive"
    runs = (
        (("archive", str(photos), archive, "--report", "--verbose"), 0),
        (("archive", str(photos), address, "--verbose"), 2),
        (("restore", archive, dest, "--all", "--json"), 0),
        (("scrub", archive), 0),
        (("maintain", archive, "--verbose"), 0),
    )
    said = b""
    for ran, (_, code) in zip(refold.several(*(one for one, _ in runs)), runs, strict=True):
        assert ran.code == code, ran.err
        said += f"{ran.out}{ran.err}".encode()
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(name.endswith("prefect.db") for name in files), "Prefect's database is not seen"
    client = moto.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page["Contents"]:
            body = client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
            files[f"s3://{bucket}/{one['Key']}"] = body
    assert any(name.endswith(".html") for name in files), "the report is not seen"
    for secret in (*SECRETS.values(), REFUSED):
        assert secret.encode() not in said
        assert [name for name, data in files.items() if secret.encode() in data] == []
