"""Encryption at rest: what requests to a bucket ask the server for, beside the bucket's default.

The server encrypts; nothing here touches a byte. s3fs and Delta Lake have other words for the same.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rescaling_core.errors import UsageError
from tasks import settings

KEY_BYTES: Final = 32
"""Of a key that the client sends along: AES-256."""

ANY_BUCKET: Final = "*"

_MANAGED: Final = ("aws:kms:dsse", "aws:kms")
_CUSTOMER: Final = "customer:"


@dataclass(frozen=True, slots=True)
class Encryption:
    """How the objects of a bucket are encrypted."""

    algorithm: str
    """`AES256`, `aws:kms` or `aws:kms:dsse`, which readers need not know of; `customer` where the
    key goes along with every request, of those who read as well."""
    key_id: str | None = None
    """Of the key that the server's key management holds; None for the bucket's own."""
    key: bytes | None = field(default=None, repr=False)
    """The key itself, which the server forgets after each request."""

    def of_requests(self) -> dict[str, str | bytes]:
        """Parameters of S3's operations; s3fs leaves out those that an operation does not have."""
        if self.key is not None:
            return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": self.key}
        named = {} if self.key_id is None else {"SSEKMSKeyId": self.key_id}
        return {"ServerSideEncryption": self.algorithm, **named}

    def of_copied(self) -> dict[str, str | bytes]:
        """Parameters by which what is copied can be read."""
        if self.key is None:
            return {}
        return {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": self.key}

    def of_delta(self) -> dict[str, str]:
        """Storage options of Delta Lake."""
        if self.key is not None:
            key = base64.b64encode(self.key).decode("ascii")
            return {"aws_server_side_encryption": "sse-c", "aws_sse_customer_key_base64": key}
        named = {} if self.key_id is None else {"aws_sse_kms_key_id": self.key_id}
        return {"aws_server_side_encryption": self.algorithm, **named}


def encryption_of(bucket: str) -> Encryption | None:
    """What the settings say of a bucket; None for what the bucket itself does.

    Raises:
        UsageError: They say what there is not, or name a file that holds no key.
    """
    told = settings.current().store_encryption
    text = told.get(bucket, told.get(ANY_BUCKET))
    return None if text is None else parse_encryption(text)


def parse_encryption(text: str) -> Encryption:
    """`AES256`, `aws:kms`, `aws:kms:KEY-ID`, `aws:kms:dsse`, or `customer:FILE` with a key.

    Raises:
        UsageError: It is none of these, or the file holds no key.
    """
    if text == "AES256":
        return Encryption(text)
    if text.startswith(_CUSTOMER):
        return Encryption("customer", key=_read_key(Path(text.removeprefix(_CUSTOMER))))
    for algorithm in _MANAGED:
        if text == algorithm:
            return Encryption(algorithm)
        if text.startswith(f"{algorithm}:"):
            return Encryption(algorithm, key_id=text.removeprefix(f"{algorithm}:"))
    raise UsageError(
        f"REFOLD_STORE_ENCRYPTION: {text!r}: there is AES256, aws:kms, aws:kms:KEY-ID, "
        "aws:kms:dsse and customer:FILE"
    )


def _read_key(path: Path) -> bytes:
    try:
        data = path.expanduser().read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"REFOLD_STORE_ENCRYPTION: {path} cannot be read: {reason}") from error
    if len(data) == KEY_BYTES:
        return data
    try:
        key = base64.b64decode(data.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise UsageError(
            f"REFOLD_STORE_ENCRYPTION: {path}: a key has {KEY_BYTES} bytes, plain or in Base64"
        )
    return key
