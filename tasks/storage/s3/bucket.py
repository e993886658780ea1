"""A bucket on S3, or on what speaks its protocol, and the requests that are sent to it, by s3fs.

`tasks.storage.s3.quick` takes some of them over where all goes well.

s3fs brings sessions, credentials, the event loop and the connection pool. Requests are made with
bucket and key apart, since s3fs's own paths cannot spell every key (`?versionId=`, a trailing
slash). Retries of a request are botocore's; nothing above repeats them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError
from botocore.session import Session
from fsspec.asyn import sync
from s3fs.core import S3_RETRYABLE_ERRORS

from rescaling_core.errors import UsageError
from tasks.storage.errors import UnstorableKeyError
from tasks.storage.place import Place
from tasks.storage.s3.connection import connect, credentials_of, endpoint_of
from tasks.storage.s3.encryption import encryption_of
from tasks.storage.s3.errors import translate
from tasks.storage.s3.quick import QuickClient, quick_client
from tasks.storage.s3.retention import check_retentions
from tasks.storage.store import Store

MAX_KEY_BYTES: Final = 1024
"""S3's limit for bucket-relative keys, in UTF-8."""

TRANSPORT_ERRORS: Final = (BotoCoreError, OSError, EOFError, *S3_RETRYABLE_ERRORS)
"""What the layers below raise; anything else is a bug."""


class S3Bucket(Store):
    """Objects below `s3://bucket/prefix`, credentials from the usual environment."""

    def __init__(self, url: str, location: str) -> None:
        super().__init__(url)
        self.bucket, _, prefix = location.partition("/")
        if not self.bucket:
            raise UsageError(f"{url}: no bucket; expected s3://bucket/prefix")
        prefix = prefix.rstrip("/")
        self._root = f"{prefix}/" if prefix else ""
        self._session = Session()
        if credentials_of(self._session) is None:
            raise UsageError(
                f"{url}: no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or AWS_PROFILE, or run where an instance role gives them"
            )
        self._encryption = encryption_of(self.bucket)
        self._fs = connect(self._session, self._encryption)
        self._hides = False
        check_retentions()

    @property
    def _address(self) -> tuple[str, str]:
        return self.url, f"{self.bucket}/{self._root}"

    @property
    def prefix(self) -> str:
        """What all keys begin with in the bucket: empty, or ending in a slash."""
        return self._root

    @property
    def has_classes(self) -> bool:
        """See `Store.has_classes`."""
        return True

    @property
    def keeps_versions(self) -> bool:
        """See `Store.keeps_versions`: a deletion left a delete marker, or a copy has a version.

        To ask for the bucket's versioning would take one more right of each role.
        """
        return self._hides

    @property
    def place(self) -> Place:
        """See `Store.place`: endpoint, bucket and prefix, whatever the URL looks like."""
        endpoint = urlsplit(self._endpoint or "https://s3.amazonaws.com")
        port = endpoint.port or {"http": 80, "https": 443}.get(endpoint.scheme)
        space = ("s3", f"{endpoint.hostname}:{port}{endpoint.path.rstrip('/')}", self.bucket)
        return Place(space, self._root, f"s3://{self.bucket}/{self._root}".rstrip("/"))

    @cached_property
    def _endpoint(self) -> str | None:
        return endpoint_of(self._session)

    @cached_property
    def _quick(self) -> QuickClient | None:
        return quick_client(self.bucket, self._session, self._encryption, self._endpoint)

    def _key(self, key: str) -> str:
        full = self._root + key
        if not key or len(full.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
            raise UnstorableKeyError(
                f"{self.url}: key {key[:60]!r} is empty or over {MAX_KEY_BYTES} bytes"
            )
        return full

    def _head(self, key: str) -> Mapping[str, Any]:
        head: Mapping[str, Any] = self._call("look up", key, "head_object", Key=self._key(key))
        return head

    def _call(self, verb: str, shown: str, method: str, **arguments: Any) -> Any:
        """One request; `verb` and `shown` are for the error message."""
        return self._run(verb, shown, self._fs._call_s3, method, Bucket=self.bucket, **arguments)

    def _run(
        self,
        verb: str,
        shown: str,
        request: Callable[..., Coroutine[Any, Any, Any]],
        *arguments: Any,
        **options: Any,
    ) -> Any:
        try:
            return sync(self._fs.loop, request, *arguments, **options)
        except TRANSPORT_ERRORS as error:
            raise translate(error, f"{verb} {shown or 'objects'}", self.url) from error
