"""S3 and what speaks its protocol, through s3fs.

s3fs brings sessions, credentials, the event loop and the connection pool. Requests are made with
bucket and key apart, since s3fs's own paths cannot spell every key (`?versionId=`, a trailing
slash). Retries of a request are botocore's; nothing above repeats them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Final
from urllib.parse import quote, urlsplit

from botocore.exceptions import BotoCoreError
from botocore.session import Session
from fsspec.asyn import sync
from s3fs.core import S3_RETRYABLE_ERRORS

from rescaling_core.errors import UsageError
from tasks import settings
from tasks.storage.errors import (
    NothingStoredError,
    ObjectChangedError,
    ObjectColdError,
    StorageError,
    UnstorableKeyError,
)
from tasks.storage.place import Place
from tasks.storage.s3 import parts as s3_multipart
from tasks.storage.s3.classes import class_of, cold_error, storage_class_of, thaw_request
from tasks.storage.s3.connection import connect, credentials_of, endpoint_of
from tasks.storage.s3.delta import WITH_CHECKSUM, delta_options
from tasks.storage.s3.encryption import encryption_of
from tasks.storage.s3.errors import (
    is_beyond,
    is_cold,
    is_conflict,
    is_precondition,
    is_thawing,
    translate,
)
from tasks.storage.s3.retention import check_retentions, lock_of, naming_retention, retention_of
from tasks.storage.s3.uploads import unfinished_uploads
from tasks.storage.store import ObjectInfo, Store

MAX_KEY_BYTES: Final = 1024
"""S3's limit for bucket-relative keys, in UTF-8."""

CHUNK_BYTES: Final = 8 * 2**20
"""Of an object that is read piece by piece."""

CREATE_ATTEMPTS: Final = 5
"""AWS answers 409 to a conditional write that met another one in flight: ask again."""

_TRANSPORT_ERRORS: Final = (BotoCoreError, OSError, EOFError, *S3_RETRYABLE_ERRORS)
"""What the layers below raise; anything else is a bug."""


class S3Store(Store):
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
            return self._read(key, Range=f"bytes={start}-{start + length - 1}")
        except StorageError as error:
            if is_beyond(error):
                return b""
            raise

    def get_version(self, key: str, etag: str) -> bytes:
        """See `Store.get_version`: `If-Match`."""
        try:
            return self._read(key, IfMatch=f'"{etag}"')
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
            span = f"bytes={start}-{end - 1}"
            data = self._read(key, Range=span)
            if len(data) != end - start:
                raise StorageError(f"{self.url}: {key} was replaced while it was read")
            yield data
        if self.info(key).etag != whole.etag:
            raise StorageError(f"{self.url}: {key} was replaced while it was read", retryable=True)

    def _read(self, key: str, **options: str) -> bytes:
        try:
            data: bytes = self._run("read", key, self._get, self._key(key), **options)
        except StorageError as error:
            if is_cold(error):
                raise self._cold(key) from error
            raise
        return data

    def _cold(self, key: str) -> ObjectColdError:
        return cold_error(self.url, key, self._head(key))

    def _head(self, key: str) -> Mapping[str, Any]:
        head: Mapping[str, Any] = self._call("look up", key, "head_object", Key=self._key(key))
        return head

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

    def move_to_class(self, info: ObjectInfo, storage_class: str) -> ObjectInfo:
        """See `Store.move_to_class`: a copy onto itself, in parts where it is large."""
        key, place = info.key, {"Bucket": self.bucket, "Key": self._key(info.key)}
        copied: dict[str, Any] = {"CopySource": place, "CopySourceIfMatch": f'"{info.etag}"'}
        if self._encryption is not None:
            copied |= self._encryption.of_copied()
        put = (self._fs._call_s3, place, copied, self._head(key), storage_class)
        try:
            self._run("copy", key, s3_multipart.copy_whole_or_parts, *put)
        except StorageError as error:
            if is_precondition(error):
                message = f"{self.url}: {key} is not what was listed any more"
                raise ObjectChangedError(message) from error
            if is_cold(error):
                raise self._cold(key) from error
            raise
        found = self._head(key)
        if found["ContentLength"] != info.size or class_of(found) != storage_class:
            where = f"{found['ContentLength']} bytes in {class_of(found)}"
            raise StorageError(f"{self.url}: {key} was copied to {storage_class}, but is {where}")
        self._hides |= found.get("VersionId", "null") != "null"
        return replace(info, etag=found["ETag"].strip('"'), modified=found.get("LastModified"))

    async def _get(self, key: str, **options: str) -> bytes:
        for left in range(settings.current().store_attempts - 1, -1, -1):
            answer = await self._fs._call_s3("get_object", Bucket=self.bucket, Key=key, **options)
            try:
                async with answer["Body"] as body:
                    data: bytes = await body.read()
                    if len(data) == answer["ContentLength"]:
                        return data
            except _TRANSPORT_ERRORS:
                if not left:
                    raise
        raise EOFError("the body ended early every time")

    def put(self, key: str, data: bytes) -> None:
        """See `Store.put`; what is large goes in parts, so that little of it is sent twice."""
        with naming_retention(key):
            if len(data) > s3_multipart.WHOLE_BYTES:
                where = {"Bucket": self.bucket, "Key": self._key(key)}
                begun = (self._fs._call_s3, where, data, self._begun_with(key))
                self._run("write", key, s3_multipart.put_parts, *begun)
                self.retain(key)  # Ceph and moto forget what such an upload was begun with
            else:
                self._call("write", key, "put_object", **self._body(key, data))

    def remove_unfinished(self, before: datetime, *, dry_run: bool = False) -> tuple[str, ...]:
        """See `Store.remove_unfinished`: uploads in parts that were begun and not completed."""
        call = partial(self._call, "list", "uploads")
        removed: list[str] = []
        for upload in unfinished_uploads(call, self._root, before):
            if not dry_run:
                self._call("delete", upload["Key"], "abort_multipart_upload", **upload)
            removed.append(upload["Key"])
        return tuple(removed)

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`: `If-None-Match: *`."""
        body = self._body(key, data)
        for attempt in range(1, CREATE_ATTEMPTS + 1):
            try:
                with naming_retention(key):
                    self._call("write", key, "put_object", IfNoneMatch="*", **body)
            except StorageError as error:
                if is_precondition(error):
                    return False
                if not is_conflict(error) or attempt == CREATE_ATTEMPTS:
                    raise
                time.sleep(0.05 * 2**attempt)
            else:
                return True
        raise AssertionError("unreachable: the last attempt returns or raises")

    def retain(self, key: str, *, dry_run: bool = False) -> bool:
        """See `Store.retain`."""
        asked = retention_of(key)
        renewed = None if asked is None else asked.renewed(lock_of(self._head(key)))
        if renewed is not None and not dry_run:
            put = {"Key": self._key(key), "Retention": renewed}
            self._call("renew the retention of", key, "put_object_retention", **put)
        return renewed is not None

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        done = self._call("delete", key, "delete_object", Key=self._key(key))
        self._hides |= bool(done.get("DeleteMarker"))

    def delta_uri(self, prefix: str) -> str:
        """See `Store.delta_uri`."""
        key = self._key(prefix)
        self._refuse_misread(key)
        return f"s3://{self.bucket}/{quote(key)}"

    def delta_options(self) -> dict[str, str]:
        """See `Store.delta_options`: the same credentials and endpoint as s3fs uses."""
        found = delta_options(self.url, self._session, self._encryption, self._endpoint)
        return found | WITH_CHECKSUM if self._is_locked else found

    @cached_property
    def _is_locked(self) -> bool:
        """Whether the bucket has Object Lock, as far as one may ask and the server can tell."""
        try:
            found = self._call("ask about", "Object Lock", "get_object_lock_configuration")
        except StorageError:
            return False
        return bool(found.get("ObjectLockConfiguration"))

    @cached_property
    def _endpoint(self) -> str | None:
        return endpoint_of(self._session)

    def _key(self, key: str) -> str:
        full = self._root + key
        if not key or len(full.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
            raise UnstorableKeyError(
                f"{self.url}: key {key[:60]!r} is empty or over {MAX_KEY_BYTES} bytes"
            )
        return full

    def _body(self, key: str, data: bytes) -> dict[str, Any]:
        """The digest travels along: the server refuses a body that was damaged on the way."""
        return {
            "Key": self._key(key),
            "Body": data,
            "ContentMD5": s3_multipart.md5_header(data),
            **self._begun_with(key),
        }

    def _begun_with(self, key: str) -> dict[str, Any]:
        """What the settings ask for with an object that is put."""
        retention = retention_of(key)
        return storage_class_of(key) | ({} if retention is None else retention.of_put())

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
        except _TRANSPORT_ERRORS as error:
            raise translate(error, f"{verb} {shown or 'objects'}", self.url) from error
