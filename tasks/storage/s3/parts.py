"""Writing and copying large objects in S3 in parts, a few at once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

WHOLE_BYTES: Final = 64 * 2**20
"""What is larger goes in parts, unless it must not replace anything: only a single request can be
made conditional on every store. S3 takes 5 GiB in one."""

PART_BYTES: Final = 16 * 2**20
PARTS_AT_ONCE: Final = 4

Call = Callable[..., Coroutine[Any, Any, Any]]
"""A request to S3: the operation's name and its arguments."""


COPIED_WHOLE_BYTES: Final = 5 * 2**30
"""What S3 copies in one request."""

COPIED_PART_BYTES: Final = 512 * 2**20

_DESCRIBED: Final = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Metadata",
)
"""What an upload in parts has to be told of the object that it copies."""


async def put_parts(
    call: Call, target: Mapping[str, str], data: bytes, begun_with: Mapping[str, Any]
) -> None:
    """Write an object in parts; what cannot be finished is taken back.

    Args:
        call: Sends a request, and tries it again where that helps.
        target: Bucket and Key.
        data: The whole object.
        begun_with: What the upload is begun with besides, such as a storage class.
    """

    async def put_part(number: int, upload: Mapping[str, str]) -> Mapping[str, Any]:
        part = data[(number - 1) * PART_BYTES : number * PART_BYTES]
        digest = md5_header(part)
        done: Mapping[str, Any] = await call(
            "upload_part", **upload, PartNumber=number, Body=part, ContentMD5=digest
        )
        return done

    await _in_parts(call, target, begun_with, -(-len(data) // PART_BYTES), put_part)


async def copy_whole_or_parts(
    call: Call,
    target: Mapping[str, str],
    copied: Mapping[str, Any],
    head: Mapping[str, Any],
    storage_class: str,
) -> None:
    """Copy an object within the server; the copy appears whole or not at all.

    Args:
        call: Sends a request, and tries it again where that helps.
        target: Bucket and Key.
        copied: CopySource, and what has to hold of it.
        head: What the server says of the object that is copied.
        storage_class: Of the copy.
    """
    size = head["ContentLength"]
    if size <= COPIED_WHOLE_BYTES:
        await call(
            "copy_object", **target, **copied, StorageClass=storage_class, MetadataDirective="COPY"
        )
        return

    async def copy_part(number: int, upload: Mapping[str, str]) -> Mapping[str, Any]:
        start = (number - 1) * COPIED_PART_BYTES
        span = f"bytes={start}-{min(start + COPIED_PART_BYTES, size) - 1}"
        done = await call(
            "upload_part_copy", **upload, **copied, PartNumber=number, CopySourceRange=span
        )
        result: Mapping[str, Any] = done["CopyPartResult"]
        return result

    described = {name: head[name] for name in _DESCRIBED if head.get(name)}
    begun_with = {**described, "StorageClass": storage_class}
    await _in_parts(call, target, begun_with, -(-size // COPIED_PART_BYTES), copy_part)


async def _in_parts(
    call: Call,
    target: Mapping[str, str],
    begun_with: Mapping[str, Any],
    count: int,
    put_part: Callable[[int, Mapping[str, str]], Coroutine[Any, Any, Mapping[str, Any]]],
) -> None:
    """Begin an upload, put its parts, a few at once, and complete it; or take it back."""
    begun = await call("create_multipart_upload", **target, **begun_with)
    upload = {**target, "UploadId": begun["UploadId"]}
    at_once = asyncio.Semaphore(PARTS_AT_ONCE)

    async def put(number: int) -> dict[str, Any]:
        async with at_once:
            return {"PartNumber": number, "ETag": (await put_part(number, upload))["ETag"]}

    try:
        parts = await asyncio.gather(*map(put, range(1, count + 1)))
        await call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
    except BaseException as error:
        try:
            await call("abort_multipart_upload", **upload)
        except Exception:  # noqa: BLE001 - `maintain` will remove it; the first error is told
            raise error from None
        raise


def md5_header(data: bytes) -> str:
    """By which the server refuses a body that was damaged on the way."""
    digest = hashlib.md5(data, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")
