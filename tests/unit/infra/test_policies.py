"""Each job's policy lets it do what the documentation says, and nothing that this does not name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.command import REPOSITORY

FOLDER = REPOSITORY / "infra" / "policies"
PAGE = REPOSITORY / "docs" / "operations" / "policies.md"
ACTIONS = {
    "s3:ListBucket": "list",
    "s3:GetObject": "read",
    "s3:PutObject": "write",
    "s3:DeleteObject": "delete",
}
UNFINISHED = {"s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads"}
"""Of uploads in parts, which belong to writing."""
PROBES = "arn:aws:s3:::archive/.refold-probe/*"


def _rights(policy: dict[str, Any], bucket: str) -> set[tuple[str, str]]:
    """What it lets one do with a bucket, each with the folder it is let do that in."""
    found = set()
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        for resource in statement["Resource"]:
            where = re.fullmatch(r"arn:aws:s3:::(photos|archive)(?:/(.*?)/?\*)?", resource)
            assert where, resource
            for action in statement["Action"]:
                assert action in ACTIONS.keys() | UNFINISHED
                if where[1] == bucket and resource != PROBES and action in ACTIONS:
                    found.add((ACTIONS[action], where[2] or ""))
    return found


def _said(cell: str) -> set[tuple[str, str]]:
    """The same, as the page says it: `list, read, write below `catalog/` and `reports/``."""
    found = set()
    for words in filter(None, (part.strip() for part in cell.replace("**", "").split(","))):
        right = words.split()[0]
        folders = re.findall(r"`([\w-]+)/`", words) or [""]
        found |= {(right, folder) for folder in folders}
    return found


def _table() -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (.*?) ?\| (.*?) \|$", PAGE.read_text(), re.M)
    return {
        job: (sources, archive)
        for jobs, sources, archive in rows
        for job in re.findall(r"`(\w+)`", jobs)
    }


def test_every_policy_is_in_the_table_and_has_a_job() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == _table().keys()
    commands = {path.stem for path in (REPOSITORY / "flows" / "cli").glob("*.py")}
    assert _table().keys() <= commands


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_policy_says_what_the_table_says(path: Path) -> None:
    policy = json.loads(path.read_text())
    assert policy["Version"] == "2012-10-17"
    sources, archive = _table()[path.stem]
    assert _rights(policy, "photos") == _said(sources)
    assert _rights(policy, "archive") == _said(archive)


def test_sources_are_deleted_by_retire_alone_and_objects_by_maintain_alone() -> None:
    policies = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
    for bucket, only in (("photos", "retire"), ("archive", "maintain")):
        deleting = {
            job
            for job, policy in policies.items()
            if any(right == "delete" for right, _ in _rights(policy, bucket))
        }
        assert deleting == {only}
