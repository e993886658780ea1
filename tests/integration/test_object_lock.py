"""What is asked for in a bucket with Object Lock."""

from __future__ import annotations

import uuid

import pytest

from tasks.storage import open_store
from tests.servers.endpoint import S3Endpoint


@pytest.fixture
def locked(moto: S3Endpoint, moto_url: str) -> str:
    """A fresh bucket in which what is written is kept for a day, whoever asks."""
    name, client = f"locked-{uuid.uuid4().hex[:12]}", moto.client()
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    kept = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": kept}
    client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=configuration)
    return name


def test_tables_are_written_with_the_checksum_that_such_a_bucket_asks_for(
    moto_url: str, locked: str
) -> None:
    for url, asked in ((f"s3://{locked}", True), (moto_url, False)):
        options = open_store(f"{url}/archive").delta_options()
        assert ("aws_checksum_algorithm" in options) is asked
