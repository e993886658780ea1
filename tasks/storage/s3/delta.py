"""How Delta Lake reaches S3: as s3fs does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tasks.storage import patience
from tasks.storage.errors import StorageError
from tasks.storage.s3.connection import credentials_of, region_of

if TYPE_CHECKING:
    from botocore.session import Session

    from tasks.storage.s3.encryption import Encryption


WITH_CHECKSUM: Final = {"aws_checksum_algorithm": "sha256"}
"""For buckets with Object Lock, which take nothing without a checksum. s3fs sends one always."""


def delta_options(
    url: str, session: Session, encryption: Encryption | None, endpoint: str | None
) -> dict[str, str]:
    """Storage options with the credentials of the moment.

    Raises:
        StorageError: There are none any more.
    """
    credentials = credentials_of(session)
    if credentials is None:
        raise StorageError(f"{url}: the credentials are gone")
    options = {
        **patience.for_delta(),
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_REGION": region_of(session),
        "aws_conditional_put": "etag",
    }
    if encryption is not None:
        options |= encryption.of_delta()
    if credentials.token:
        options["AWS_SESSION_TOKEN"] = credentials.token
    if endpoint:
        options["AWS_ENDPOINT_URL"] = endpoint
        if endpoint.startswith("http://"):
            options["AWS_ALLOW_HTTP"] = "true"
    return options
