"""Credentials that somebody wrote into an address: refused, and never shown.

An address is written into the catalog's table of runs, into report pages, logs and Prefect's
database. What is in it is read by everybody who reads those.
"""

from __future__ import annotations

import re
from typing import Final

from rescaling_core.errors import UsageError

HIDDEN: Final = "***"

_USER: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^/@\s]*)@")
"""What stands before the host, as far as no slash is in it."""

_PASSWORD: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://[^/@:\s]*:(?P<rest>[^@\s]*)@")
"""A password with slashes in it, as secret keys have them."""

_PORT: Final = re.compile(r"[0-9]{1,5}/.*", re.DOTALL)

_PARAMETER: Final = re.compile(
    r"(?P<name>[?&;#][^=&;#?\s]*"
    r"(?:sig(?==)|auth(?==)|signature|token|secret|passw|credential|access_?key|api_?key)"
    r"[^=&;#?\s]*)=(?P<value>[^&;#\s]+)",
    re.IGNORECASE,
)

_WITHOUT_USERS: Final = frozenset({"s3", "s3a", "http", "https", "gs", "gcs", "hf"})
"""Schemes in which a name before the host is a token or a key. In others it is a user, or a
container."""


def masked(text: str) -> str:
    """A text with the credentials of all addresses in it replaced by three stars."""
    if "://" not in text:
        return text
    text = _PASSWORD.sub(_without_password, text)
    text = _USER.sub(_without_user, text)
    return _PARAMETER.sub(rf"\g<name>={HIDDEN}", text)


def refuse_credentials(address: str) -> None:
    """Refuse an address that holds credentials, without showing them.

    Raises:
        UsageError: It does; the message says where credentials belong.
    """
    shown = masked(address)
    if shown != address:
        raise UsageError(
            f"{shown}: it holds credentials, which would be recorded with the run; give them by "
            "the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or what "
            "the client of this protocol reads), and the address without them"
        )


def _without_password(match: re.Match[str]) -> str:
    return match[0] if _PORT.fullmatch(match["rest"]) else f"{match['scheme']}://{HIDDEN}@"


def _without_user(match: re.Match[str]) -> str:
    user = match["user"]
    secret = ":" in user or match["scheme"].lower() in _WITHOUT_USERS
    return f"{match['scheme']}://{HIDDEN}@" if secret and user != HIDDEN else match[0]
