"""What people type for a store: a path, a URL, or a slip of the pen that is neither."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator

from rescaling_core.errors import UsageError

_ALSO_KNOWN: Final = {"s3a", "https", "ftp", "sftp", "gs", "gcs", "az", "abfs", "hdfs"}
_SCHEME_AND_COLON: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
_SCHEME_WITHOUT_COLON: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)//")
_VARIABLE: Final = re.compile(r"\$(\w+|\{\w+\})(/|$)")


def parse_address(text: str) -> tuple[str | None, str]:
    """Part an address into the scheme of a URL and what follows `://`, or expand a path.

    Returns:
        (scheme, rest) of a URL, or (None, path) with `~` expanded.

    Raises:
        UsageError: It is empty, or looks like a URL and is none: to make a local folder `s3:` of a
            mistyped bucket would let an archive seem to be where it is not.
    """
    if not text.strip():
        raise UsageError("a store needs a path or a URL, not an empty text")
    scheme, separator, rest = text.partition("://")
    if not separator:
        _refuse_slips(text)
        return None, expand_home(text)
    if scheme != scheme.strip().lower():
        proper = scheme.strip().lower()
        raise UsageError(f"{text}: the scheme is written {proper}://, so {proper}://{rest}")
    if scheme not in ("file", "local") and (not rest or rest.startswith("/")):
        raise UsageError(f"{text}: no bucket or host follows {scheme}://")
    return scheme, rest


def local_path(text: str) -> Path | None:
    """The path that an address names, or None if it is the URL of something else."""
    scheme, rest = parse_address(text)
    return Path(rest) if scheme in (None, "file", "local") else None


def absolute_address(text: str) -> str:
    """An address that means the same in every folder: a path from the root on, a URL as it is.

    What cannot be an address is left as it is, for `open_store` to refuse it.
    """
    try:
        scheme, path = parse_address(text)
    except UsageError:
        return text
    return str(Path(path).absolute()) if scheme is None else text


Address = Annotated[str, AfterValidator(absolute_address)]
"""An address among the parameters of a flow, made absolute where the flow begins.

Ray's workers are in the folder in which Ray was started, and what the catalog records is read from
anywhere: a path relative to the folder of the command would mean another place to them.
"""


def expand_home(path: str) -> str:
    """`~` and `~name` at the start as the home folder, as a shell does where nothing is quoted.

    Raises:
        UsageError: Nobody has that name, or the home folder is not known.
    """
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        hint = f"write ./{path} if a file or folder of that name is meant"
        raise UsageError(f"{path}: no such home folder; {hint}") from error


def _refuse_slips(text: str) -> None:
    hint = f"write ./{text} if a local path is meant"
    if (match := _SCHEME_WITHOUT_COLON.match(text)) and _is_known(match[1]):
        raise UsageError(f"{text}: a URL has a colon after {match[1]}; {hint}")
    if match := _SCHEME_AND_COLON.fullmatch(text):
        scheme, rest = match[1].lower(), match[2]
        if _is_known(scheme) or rest.startswith(("/", "\\")):
            slashes = ":///" if scheme in ("file", "local") else "://"
            proper = scheme + slashes + rest.lstrip("/\\")
            raise UsageError(
                f"{text}: looks like a URL but is not one; did you mean {proper}? Or {hint}"
            )
    if match := _VARIABLE.match(text):
        raise UsageError(
            f"{text}: the shell did not fill in ${match[1]} (single quotes prevent it); {hint}"
        )


def _is_known(scheme: str) -> bool:
    import fsspec  # late: `refold --help` has no need of it

    return scheme.lower() in _ALSO_KNOWN or scheme.lower() in fsspec.available_protocols()
