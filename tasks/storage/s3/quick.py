"""Whole objects of S3 by obstore, a client in Rust that takes a fraction of s3fs's CPU time.

It is asked first, once, and what it says counts where all went well. All else is left to s3fs,
which asks again: an object that is not there, a refusal, a busy server, a key that obstore cannot
spell. So one client knows what the answers mean, how often to try and when to slow down, and
whatever goes wrong reads the same with and without obstore. Listings are not its: it would take a
folder's marker for an object, and `/a` for `a`.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rescaling_core.errors import UsageError
from tasks import settings
from tasks.storage import accounting as requests
from tasks.storage.errors import StorageError
from tasks.storage.s3.connection import credentials_of, region_of

if TYPE_CHECKING:
    from botocore.session import Session
    from obstore.store import ClientConfig, S3Credential, S3Store

    from tasks.storage.s3.encryption import Encryption

MOST_WRITTEN: Final = 8 * 2**20
"""Bytes. obstore's patience with an answer begins when it begins to send."""

REST_SECONDS: Final = 10.0
"""For which s3fs does all after an answer that says nothing of the object, such as `SlowDown`."""

ASKED_FOR_AGAIN: Final = timedelta(minutes=5)
"""After which credentials that expire are asked for again: botocore renews them 10 minutes before
their end at the latest."""

_used_in: list[int] = []
"""The process that used obstore first. Its threads do not come along into one that is forked, as
torch forks those that read training data: there, s3fs does all."""

_LOG: Final = logging.getLogger(__name__)

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{2,62}")
_UNSPEAKABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|(^|/)(\.{0,2})(/|$)")
"""Control characters, and parts that are empty, `.` or `..`."""

_SPECIAL: Final = ("s3", "use_dualstack_endpoint", "use_fips_endpoint")
"""What a profile may say of botocore's requests, and obstore would pass over."""


@dataclass(slots=True)
class QuickClient:
    """The requests that go well."""

    store: S3Store
    failures: tuple[type[Exception], ...]
    """What it raises where not all went well."""
    answers: tuple[type[Exception], ...]
    """Those of them that say something of the object, and nothing of the server."""
    _rests_until: float = field(default=0.0, init=False)

    def read(self, key: str, *, etag: str | None, span: tuple[int, int] | None) -> bytes | None:
        """One object, or a part of it.

        Args:
            key: In the bucket.
            etag: If it is still this one.
            span: From the first byte to the one behind the last.

        Returns:
            None if s3fs has to be asked.
        """
        if not self._takes(key):
            return None
        asked: dict[str, Any] = {} if etag is None else {"if_match": f'"{etag}"'}
        if span is not None:
            asked["range"] = span
        requests.count("before-send.s3.GetObject")
        try:
            return self.store.get(key, options=asked).bytes().to_bytes()  # type: ignore[arg-type]
        except self.failures as error:
            self._left(error)
            return None

    def write(self, key: str, data: bytes, *, create: bool, storage_class: str | None) -> bool:
        """One object, whole.

        Args:
            key: In the bucket.
            data: Which the server checks by its SHA-256.
            create: Only if the key does not exist.
            storage_class: None for the bucket's own.

        Returns:
            Whether it was written. If not, s3fs has to be asked, even why.
        """
        if len(data) > MOST_WRITTEN or not self._takes(key):
            return False
        requests.count("before-send.s3.PutObject")
        try:
            self.store.put(
                key,
                data,
                attributes={} if storage_class is None else {"Storage-Class": storage_class},
                mode="create" if create else "overwrite",
                use_multipart=False,
            )
        except self.failures as error:
            self._left(error)
            return False
        return True

    def _takes(self, key: str) -> bool:
        resting = time.monotonic() < self._rests_until
        return not (resting or _is_forked() or _UNSPEAKABLE.search(key))

    def _left(self, error: Exception) -> None:
        """Leave a request to s3fs, and the next ones too unless the answer was of the object."""
        if not isinstance(error, self.answers):
            self._rests_until = time.monotonic() + REST_SECONDS


def quick_client(
    bucket: str, session: Session, encryption: Encryption | None, endpoint: str | None
) -> QuickClient | None:
    """A client that speaks to the same bucket as s3fs does; None where s3fs is to do all.

    Args:
        bucket: Its name; what is no plain name, such as an ARN, is left to s3fs.
        session: Knows credentials and region.
        encryption: What is asked for with every request.
        endpoint: None for AWS's own.

    Raises:
        UsageError: The settings ask for obstore, and it is not installed.
    """
    told = settings.current().store_client
    if told == "s3fs" or _is_forked():
        return None
    try:
        from obstore import exceptions
        from obstore.store import S3Store
    except ImportError as error:
        if told is None:
            return None
        raise UsageError(
            "REFOLD_STORE_CLIENT=obstore: it is not installed; pip install 'refold[obstore]'"
        ) from error
    if not _BUCKET.fullmatch(bucket) or any(map(session.get_config_variable, _SPECIAL)):
        return None

    def credentials() -> S3Credential:
        found, frozen = session.get_credentials(), credentials_of(session)
        if frozen is None:
            raise StorageError(f"s3://{bucket}: the credentials are gone")
        expires = hasattr(found, "refresh_needed")
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + ASKED_FOR_AGAIN if expires else None,
        }

    _used_in[:] = [os.getpid()]
    failures = (exceptions.BaseError, OSError, ValueError)
    try:
        store = S3Store(
            bucket,
            config=_config(bucket, session, encryption, endpoint),  # type: ignore[arg-type]
            client_options=_options(session, endpoint),
            retry_config={"max_retries": 0},
            credential_provider=credentials,
        )
    except failures as error:
        _LOG.warning("s3fs does all for s3://%s, as obstore refuses it: %s", bucket, error)
        return None
    answers = (
        FileNotFoundError,
        exceptions.AlreadyExistsError,  # a conflict with another writer as well
        exceptions.NotFoundError,
        exceptions.PermissionDeniedError,  # a cold object as well
        exceptions.PreconditionError,
    )
    return QuickClient(store, failures, answers)


def _is_forked() -> bool:
    return bool(_used_in) and _used_in[0] != os.getpid()


def _config(
    bucket: str, session: Session, encryption: Encryption | None, endpoint: str | None
) -> Mapping[str, str]:
    """How it finds the bucket as botocore would, and what goes along with each request.

    All is said: what is left out obstore reads from the environment, and has other names for.
    """
    region = region_of(session)
    named = endpoint is None and "." not in bucket  # the bucket, by the host
    config = {
        "aws_region": region,
        "aws_endpoint_url_s3": endpoint
        or f"https://{bucket + '.' if named else ''}s3.{region}.amazonaws.com",
        "aws_virtual_hosted_style_request": str(named).lower(),
        # Buckets with Object Lock take nothing without; Content-MD5 is not to be had.
        "aws_checksum_algorithm": "sha256",
        "aws_conditional_put": "etag",
    }
    return config if encryption is None else config | encryption.of_delta()


def _options(session: Session, endpoint: str | None) -> ClientConfig:
    told = settings.current()
    options: ClientConfig = {
        "allow_http": (endpoint or "").startswith("http://"),
        "connect_timeout": timedelta(seconds=told.store_connect_seconds),
        "read_timeout": timedelta(seconds=told.store_read_seconds),
        "timeout": timedelta(days=1),  # of a whole body, however long that is
    }
    bundle = session.get_config_variable("ca_bundle")
    if bundle and Path(bundle).is_file():  # beside those that the system trusts
        options["root_certificate"] = Path(bundle).read_bytes()
    return options
