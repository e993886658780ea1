"""S3, and what speaks its protocol, as a store: objects written, moved, deleted, and tables."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Final
from urllib.parse import quote

from tasks.storage.errors import ObjectChangedError, StorageError
from tasks.storage.objects import ObjectInfo
from tasks.storage.s3 import parts as s3_multipart
from tasks.storage.s3.classes import class_of, storage_class_of
from tasks.storage.s3.delta import WITH_CHECKSUM, delta_options
from tasks.storage.s3.errors import is_cold, is_conflict, is_precondition
from tasks.storage.s3.reading import S3Reader
from tasks.storage.s3.retention import lock_of, naming_retention, retention_of
from tasks.storage.s3.uploads import unfinished_uploads

CREATE_ATTEMPTS: Final = 5
"""AWS answers 409 to a conditional write that met another one in flight: ask again."""


class S3Store(S3Reader):
    """A bucket, or what lies below a prefix of one, that can be written to."""

    def put(self, key: str, data: bytes) -> None:
        """See `Store.put`; what is large goes in parts, so that little of it is sent twice."""
        with naming_retention(key):
            if len(data) > s3_multipart.WHOLE_BYTES:
                where = {"Bucket": self.bucket, "Key": self._key(key)}
                begun = (self._fs._call_s3, where, data, self._begun_with(key))
                self._run("write", key, s3_multipart.put_parts, *begun)
                self.retain(key)  # Ceph and moto forget what such an upload was begun with
            elif not self._put_quickly(key, data, create=False):
                self._call("write", key, "put_object", **self._body(key, data))

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`: `If-None-Match: *`."""
        if self._put_quickly(key, data, create=True):
            return True
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

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        done = self._call("delete", key, "delete_object", Key=self._key(key))
        self._hides |= bool(done.get("DeleteMarker"))

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

    def retain(self, key: str, *, dry_run: bool = False) -> bool:
        """See `Store.retain`."""
        asked = retention_of(key)
        renewed = None if asked is None else asked.renewed(lock_of(self._head(key)))
        if renewed is not None and not dry_run:
            put = {"Key": self._key(key), "Retention": renewed}
            self._call("renew the retention of", key, "put_object_retention", **put)
        return renewed is not None

    def remove_unfinished(self, before: datetime, *, dry_run: bool = False) -> tuple[str, ...]:
        """See `Store.remove_unfinished`: uploads in parts that were begun and not completed."""
        call = partial(self._call, "list", "uploads")
        removed: list[str] = []
        for upload in unfinished_uploads(call, self._root, before):
            if not dry_run:
                self._call("delete", upload["Key"], "abort_multipart_upload", **upload)
            removed.append(upload["Key"])
        return tuple(removed)

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

    def _put_quickly(self, key: str, data: bytes, *, create: bool) -> bool:
        """Whether obstore wrote it. Retentions go by s3fs: obstore has no header for one object."""
        quick = self._quick
        if quick is None or retention_of(key) is not None:
            return False
        told = storage_class_of(key).get("StorageClass")
        return quick.write(self._key(key), data, create=create, storage_class=told)

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
