"""Reading from a bucket: listings, whole objects, parts of them, and what lies in cold classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasks import settings
from tasks.storage.errors import (
    NothingStoredError,
    ObjectChangedError,
    ObjectColdError,
    StorageError,
)
from tasks.storage.objects import ObjectInfo
from tasks.storage.s3.bucket import TRANSPORT_ERRORS, S3Bucket
from tasks.storage.s3.classes import class_of, cold_error, thaw_request
from tasks.storage.s3.errors import is_beyond, is_cold, is_precondition, is_thawing
from tasks.storage.s3.retention import lock_of

CHUNK_BYTES: Final = 8 * 2**20
"""Of an object that is read piece by piece."""


class S3Reader(S3Bucket):
    """What can be read of a bucket; it writes nothing but the request to thaw an object."""

    def require_root(self) -> None:
        """See `Store.require_root`; an empty bucket will do, an empty prefix will not."""
        page = self._call("list", "", "list_objects_v2", Prefix=self._root, MaxKeys=1)
        if self._root and not page.get("Contents"):
            raise NothingStoredError(f"{self.url}: nothing is stored under this prefix")

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `Store.list`: page by page, a thousand keys each."""
        more: dict[str, str] = {}
        while True:
            page = self._call("list", prefix, "list_objects_v2", Prefix=self._root + prefix, **more)
            for entry in page.get("Contents", ()):
                if not (entry["Key"].endswith("/") and entry["Size"] == 0):  # a folder's marker
                    key = entry["Key"][len(self._root) :]
                    yield ObjectInfo(
                        key=key,
                        size=entry["Size"],
                        etag=entry["ETag"].strip('"'),
                        modified=entry.get("LastModified"),
                    )
            if not page.get("IsTruncated"):
                return
            if not (token := page.get("NextContinuationToken")):
                raise StorageError(
                    f"{self.url}: the listing says that it goes on, but not where", retryable=True
                )
            more = {"ContinuationToken": token}

    def info(self, key: str) -> ObjectInfo:
        """See `Store.info`."""
        head = self._head(key)
        return ObjectInfo(
            key=key,
            size=head["ContentLength"],
            etag=head["ETag"].strip('"'),
            modified=head.get("LastModified"),
            lock=lock_of(head),
        )

    def get(self, key: str) -> bytes:
        """See `Store.get`; a body that is cut off is asked for again."""
        return self._read(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """See `Store.get_range`."""
        try:
            return self._read(key, span=(start, start + length))
        except StorageError as error:
            if is_beyond(error):
                return b""
            raise

    def get_version(self, key: str, etag: str) -> bytes:
        """See `Store.get_version`: `If-Match`."""
        try:
            return self._read(key, etag=etag)
        except StorageError as error:
            if is_precondition(error):
                message = f"{self.url}: {key} is not what was listed any more"
                raise ObjectChangedError(message) from error
            raise

    def chunks(self, key: str) -> Iterator[bytes]:
        """See `Store.chunks`: by ranges, each checked to be of the same version."""
        whole = self.info(key)
        for start in range(0, whole.size, CHUNK_BYTES):
            end = min(start + CHUNK_BYTES, whole.size)
            data = self._read(key, span=(start, end))
            if len(data) != end - start:
                raise StorageError(f"{self.url}: {key} was replaced while it was read")
            yield data
        if self.info(key).etag != whole.etag:
            raise StorageError(f"{self.url}: {key} was replaced while it was read", retryable=True)

    def thaw(self, key: str) -> None:
        """See `Store.thaw`: RestoreObject, for as long and as fast as the settings say."""
        asked = thaw_request(self._head(key))
        try:
            self._call("thaw", key, "restore_object", Key=self._key(key), RestoreRequest=asked)
        except StorageError as error:
            if not is_thawing(error):
                raise

    def class_of(self, key: str) -> str | None:
        """See `Store.class_of`."""
        return class_of(self._head(key))

    def _read(
        self, key: str, *, etag: str | None = None, span: tuple[int, int] | None = None
    ) -> bytes:
        quick = self._quick
        if quick is not None:
            found = quick.read(self._key(key), etag=etag, span=span)
            if found is not None:
                return found
        options = {} if etag is None else {"IfMatch": f'"{etag}"'}
        if span is not None:
            options["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        try:
            data: bytes = self._run("read", key, self._get, self._key(key), **options)
        except StorageError as error:
            if is_cold(error):
                raise self._cold(key) from error
            raise
        return data

    async def _get(self, key: str, **options: str) -> bytes:
        for left in range(settings.current().store_attempts - 1, -1, -1):
            answer = await self._fs._call_s3("get_object", Bucket=self.bucket, Key=key, **options)
            try:
                async with answer["Body"] as body:
                    data: bytes = await body.read()
                    if len(data) == answer["ContentLength"]:
                        return data
            except TRANSPORT_ERRORS:
                if not left:
                    raise
        raise EOFError("the body ended early every time")

    def _cold(self, key: str) -> ObjectColdError:
        return cold_error(self.url, key, self._head(key))
