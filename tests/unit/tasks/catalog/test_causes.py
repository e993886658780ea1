"""What is said of a table that cannot be read: the store's own reason, in one line."""

from __future__ import annotations

import pytest

from tasks.catalog.causes import reason_of
from tasks.storage import StorageError, open_store
from tests.servers.endpoint import S3Endpoint
from tests.servers.proxy import Fault, proxy

ANSI = "\x1b[31m↳\x1b[0m"


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "word"), [("503", "SlowDown"), ("500", "500 Internal")])
def test_a_refused_read_names_what_the_server_said(
    moto: S3Endpoint, monkeypatch: pytest.MonkeyPatch, fault: Fault, word: str
) -> None:
    from tasks.catalog import open_catalog

    broken: list[Fault] = []
    bucket = moto.new_bucket()
    with proxy(moto, faults=lambda *_: broken[0] if broken else None) as bad:
        for name, value in bad.environment.items():
            monkeypatch.setenv(name, value)
        catalog = open_catalog(open_store(f"s3://{bucket}/archive"))
        broken.append(fault)
        with pytest.raises(StorageError, match=word) as caught:
            list(catalog.rows())
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert caught.value.retryable


def test_the_innermost_cause_is_said_and_addresses_are_left_out() -> None:
    tree = (
        f"Kernel error -> Generic S3 error\n  {ANSI} Error performing GET http://host/b?X-Amz-Sig=1"
        f" in 1s\n {ANSI} 403 Forbidden\n {ANSI} <Error><Code>AccessDenied</Code></Error>\n"
    )
    said = reason_of(OSError(tree))
    assert said == "Generic S3 error: 403 Forbidden: AccessDenied: no reason given"


def test_other_errors_are_said_as_they_are_but_in_one_line() -> None:
    assert reason_of(OSError("first\nsecond")) == "first second"
    assert reason_of(OSError()) == "OSError"
    assert len(reason_of(OSError("x" * 10_000))) < 500
