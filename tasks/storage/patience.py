"""How long the clients of stores wait, and how often they try: as the settings say, for all.

s3fs is told in `tasks.storage.s3`. Here are Delta Lake's own client and the file systems that
fsspec brings; each has other words for the same.
"""

from __future__ import annotations

import inspect
import logging
import os
from types import MethodType
from typing import Any, Final

from tasks import settings
from tasks.storage.delta_places import AZURE, GOOGLE

_WEB: Final = frozenset({"http", "https"})
_TOO_MANY: Final = 429
_FAILED: Final = 500
_TOLD: Final = "refold_told"


def for_delta() -> dict[str, str]:
    """Storage options of `deltalake`, for whatever cloud.

    Its own are 5 s for a connection and 30 s for a whole request, ten times: five minutes for each
    of the files that a table is opened by.
    """
    told = settings.current()
    waiting = told.store_connect_seconds + told.store_read_seconds
    return {
        "connect_timeout": _milliseconds(told.store_connect_seconds),
        "timeout": _milliseconds(waiting),
        "max_retries": str(told.store_attempts - 1),
        "retry_timeout": _milliseconds(waiting * told.store_attempts),
    }


def for_filesystem(url: str) -> dict[str, dict[str, Any]]:
    """What the file systems of a URL are given, by protocol, as `fsspec.core.url_to_fs` takes it.

    Args:
        url: Maybe a chain, such as `zip://a.png::https://host/photos.zip`.
    """
    protocols = {part.partition("://")[0] for part in url.split("::") if "://" in part}
    return {name: options for name in protocols if (options := _options(name))}


def _options(protocol: str) -> dict[str, Any]:
    told = settings.current()
    if protocol in _WEB | GOOGLE:
        from aiohttp import ClientTimeout

        patience = ClientTimeout(
            total=None,
            connect=told.store_connect_seconds,
            sock_connect=told.store_connect_seconds,
            sock_read=told.store_read_seconds,
        )
        if protocol in GOOGLE:
            # Else a second service, which keeps to none of these, is asked about the bucket.
            os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
            return {"requests_timeout": patience}
        return {"client_kwargs": {"timeout": patience}}
    if protocol == "ftp":
        return {"timeout": told.store_read_seconds}
    if protocol in ("sftp", "ssh"):
        waiting = told.store_connect_seconds + told.store_read_seconds
        return {"timeout": told.store_connect_seconds, "banner_timeout": waiting}
    return {}


def make_patient(filesystem: Any) -> None:
    """Have a file system wait and try as the settings say, where it was not told when made."""
    names = filesystem.protocol
    protocols = {names} if isinstance(names, str) else set(names)
    if protocols & AZURE:
        _replace_client(filesystem)
    elif protocols & GOOGLE:
        _try_as_often(filesystem)


def _try_as_often(filesystem: Any) -> None:
    """Google's tries six times, whatever it is told, and logs a traceback of what we raise."""
    from gcsfs.retry import retry_request  # type: ignore[import-untyped]

    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    once = inspect.unwrap(type(filesystem)._request)
    often = retry_request(once, retries=settings.current().store_attempts)
    filesystem._request = MethodType(often, filesystem)


def _replace_client(filesystem: Any) -> None:
    """Azure's gives its client no settings: it gets one of ours, for the same account."""
    from azure.storage.blob.aio import BlobServiceClient

    told, client = settings.current(), filesystem.service_client
    asked = (told.store_connect_seconds, told.store_read_seconds, told.store_attempts)
    if getattr(filesystem, _TOLD, None) == asked:  # fsspec gives the same one again
        return
    setattr(filesystem, _TOLD, asked)
    filesystem.service_client = BlobServiceClient(
        client.url,
        credential=client.credential,
        connection_timeout=told.store_connect_seconds,
        read_timeout=told.store_read_seconds,
        retry_total=told.store_attempts - 1,
        # Its own begin at 15 seconds.
        initial_backoff=1,
        increment_base=2,
        random_jitter_range=1,
    )


def may_pass(error: BaseException) -> bool:
    """Whether a client's error is of a kind that may have passed when the step is tried again."""
    status = next(
        (
            value
            for name in ("status_code", "status", "code")
            if isinstance(value := getattr(error, name, None), int)
        ),
        0,
    )
    # Azure's and aiohttp's errors of connections are not those of Python.
    names = {one.__name__ for one in type(error).__mro__}
    unreached = names & {"ServiceRequestError", "ServiceResponseError", "ClientConnectionError"}
    return (
        isinstance(error, TimeoutError | ConnectionError)
        or bool(unreached)
        or status == _TOO_MANY
        or status >= _FAILED
    )


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(1000 * seconds))}ms"
