"""Connecting to S3: credentials, region, endpoint and retries, all from the usual environment."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any, Final

from aiobotocore.session import AioSession  # type: ignore[import-untyped]
from botocore.session import Session
from s3fs import S3FileSystem

from tasks import settings
from tasks.storage import accounting as requests
from tasks.storage.s3.encryption import Encryption
from tasks.storage.s3.times import parse_time
from tasks.storage.secrets import masked

CONNECTIONS: Final = 32
"""At once, of one store in one process."""

_LOG: Final = logging.getLogger(__name__)


def credentials_of(session: Session) -> Any:
    """The credentials that the environment holds now; None if there are none."""
    found = session.get_credentials()
    return found and found.get_frozen_credentials()


def endpoint_of(session: Session) -> str | None:
    """An endpoint other than AWS's own, from the environment or the profile."""
    client = session.create_client("s3", region_name=region_of(session))
    endpoint: str = client.meta.endpoint_url
    return None if endpoint.split("?")[0].rstrip("/").endswith("amazonaws.com") else endpoint


def region_of(session: Session) -> str:
    """The region that requests are signed for."""
    return (
        session.get_config_variable("region")
        or os.environ.get("AWS_REGION")  # what other clients read, and what containers set
        or "us-east-1"
    )


def connect(session: Session, encryption: Encryption | None) -> S3FileSystem:
    """A file system of our own: no shared instance, no cached listings, one layer of retries.

    Args:
        session: Knows credentials, region and endpoint.
        encryption: What is asked for with every request; None for nothing.
    """
    told = settings.current()
    counted = AioSession()
    answers = counted.get_component("response_parser_factory")
    answers.set_parser_defaults(timestamp_parser=parse_time)
    counted.register("before-send.s3", requests.count)
    counted.register("needs-retry.s3", partial(_say_that_we_wait, told.store_attempts))
    filesystem = S3FileSystem(
        session=counted,
        client_kwargs={"region_name": region_of(session)},
        config_kwargs={
            # Adaptive: after a 503 SlowDown all requests of the client slow down, not that one.
            "retries": {"mode": "adaptive", "total_max_attempts": told.store_attempts},
            "max_pool_connections": CONNECTIONS,
            "connect_timeout": told.store_connect_seconds,
            "read_timeout": told.store_read_seconds,
            # Content-MD5 protects writes on every server; the newer checksums confuse older ones.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
        s3_additional_kwargs={} if encryption is None else encryption.of_requests(),
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    filesystem.retries = 1
    return filesystem


def _say_that_we_wait(
    most: int,
    attempts: int,
    response: tuple[Any, Any] | None,
    caught_exception: Exception | None,
    **_: object,
) -> None:
    """Log that a request failed and is tried again; called by botocore after every try."""
    status = 0 if response is None else response[0].status_code
    if attempts < most and (caught_exception is not None or status >= 500):
        why = (
            f"it answered {status}"
            if caught_exception is None
            else masked(_one_line(caught_exception))
        )
        _LOG.warning("waiting for the store, try %d of %d: %s", attempts + 1, most, why)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
