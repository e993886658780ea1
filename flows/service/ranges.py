"""Parts of a file, as RFC 9110 has them: one range, or the whole."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from flows.service.errors import PublicError

_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def ranged(request: Request, data: bytes, media_type: str, headers: dict[str, str]) -> Response:
    """The bytes that a request asks for.

    Several ranges, and what is no range, are answered with the whole, as the standard allows.

    Raises:
        PublicError: The range begins behind the end (416).
    """
    found = _RANGE.fullmatch(request.headers.get("range", "").strip())
    condition = request.headers.get("if-range")
    if found is None or found.group() == "bytes=-" or condition not in (None, headers["ETag"]):
        return Response(data, media_type=media_type, headers=headers)
    first, last = found.groups()
    start = int(first) if first else max(0, len(data) - int(last))
    stop = min(len(data), int(last) + 1) if first and last else len(data)
    if start >= stop:
        raise PublicError(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"The file has {len(data)} bytes.",
            headers={"Content-Range": f"bytes */{len(data)}"},
        )
    return Response(
        data[start:stop],
        status_code=HTTPStatus.PARTIAL_CONTENT,
        media_type=media_type,
        headers={**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"},
    )
