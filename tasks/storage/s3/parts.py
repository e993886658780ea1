"""Writing large objects to S3 in parts, a few at once."""

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


async def put_parts(
    call: Call, target: Mapping[str, str], data: bytes, begun_with: Mapping[str, str]
) -> None:
    """Write an object in parts; what cannot be finished is taken back.

    Args:
        call: Sends a request, and tries it again where that helps.
        target: Bucket and Key.
        data: The whole object.
        begun_with: What the upload is begun with besides, such as a storage class.
    """
    begun = await call("create_multipart_upload", **target, **begun_with)
    upload = {**target, "UploadId": begun["UploadId"]}
    at_once = asyncio.Semaphore(PARTS_AT_ONCE)

    async def put_part(number: int) -> dict[str, Any]:
        part = data[(number - 1) * PART_BYTES : number * PART_BYTES]
        async with at_once:
            digest = md5_header(part)
            done = await call(
                "upload_part", **upload, PartNumber=number, Body=part, ContentMD5=digest
            )
        return {"PartNumber": number, "ETag": done["ETag"]}

    count = -(-len(data) // PART_BYTES)
    try:
        parts = await asyncio.gather(*map(put_part, range(1, count + 1)))
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
