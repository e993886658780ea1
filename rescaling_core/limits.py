"""What a file from elsewhere may ask for, and readers that hold it to that.

LR files, weights, checkpoints, catalogs, plans and price tables may come from anybody. Before
memory or time is spent on what such a file states, it is held against the limits of this module;
docs/formats.md states them. What exceeds one is an error of one line.
"""

from __future__ import annotations

import json
import tomllib
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_SIDE: Final = 2**24
"""Pixels of a side, of an image or of its LR image."""

MIN_TILE: Final = 16
MAX_TILE: Final = 4096
"""HR pixels of a side that one pass of a network is responsible for."""

MAX_OVERLAP: Final = 512
"""LR pixels of context around a tile."""

MAX_CONTEXT: Final = 16
"""Times that tiles with their context may cover the LR image: more is work for nothing."""

MAX_SEED: Final = 2**63 - 1
MAX_STD: Final = 100.0
"""Standard deviation of a latent draw."""

MAX_NAME: Final = 16_384
"""Characters of a key, an etag, an id or any other name."""

MAX_JSON: Final = 2**27
"""Characters of a JSON document: an LR file's holds all that it carries, in base64."""

MAX_TOML: Final = 2**18
"""Characters of a plan, a recipe or a price table."""

MAX_VALUES: Final = 100_000
"""Values, lists and tables of a document."""

MAX_DEPTH: Final = 32
"""Levels of lists and tables in a document."""

MAX_DIGITS: Final = 20
"""Digits of a whole number."""

MAX_HEADER: Final = 2**20
"""Bytes of the header of a weights file."""

MAX_TENSORS: Final = 10_000
"""Tensors of a weights file or a checkpoint, and the highest number in one of their names."""

MAX_TENSOR_NAME: Final = 256
"""Characters of a tensor's name."""

MAX_CONFIG_NUMBER: Final = 512
"""The highest number in a network's config: blocks, growth, features."""

MAX_CONFIG_SCALE: Final = 16
"""The highest scale of a network's config."""

SPARE_VALUES: Final = 2**20
"""Values that a network may hold beyond those of its weights file, before it is compared."""


def read_json(text: str | bytes, *, most_values: int = MAX_VALUES) -> Any:
    """Parse JSON from elsewhere.

    Args:
        text: The document.
        most_values: Values, lists and tables that it may hold.

    Raises:
        ValueError: It is not JSON, holds NaN or an infinity, or exceeds a limit.
    """
    if len(text) > MAX_JSON:
        raise ValueError(f"a document of {len(text)} characters: at most {MAX_JSON}")
    counted = (
        sum(map(text.count, (",", "[", "{")))
        if isinstance(text, str)
        else sum(map(text.count, (b",", b"[", b"{")))
    )
    if counted > most_values:
        raise ValueError(f"a document of more than {most_values} values")
    try:
        document = json.loads(
            text, parse_int=_whole, parse_float=_finite, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError(f"a document of more than {MAX_DEPTH} levels") from None
    check_document(document)
    return document


def read_toml(text: str) -> dict[str, Any]:
    """Parse TOML from elsewhere.

    Raises:
        ValueError: It is not TOML, holds NaN or an infinity, or exceeds a limit.
    """
    if len(text) > MAX_TOML:
        raise ValueError(f"a file of {len(text)} characters: at most {MAX_TOML}")
    # Keys of many parts take the parser a time that grows with the square of their number.
    if any(line.count(".") > 2 * MAX_DEPTH for line in text.splitlines()):
        raise ValueError(f"a line with more than {2 * MAX_DEPTH} dots")
    try:
        document = tomllib.loads(text, parse_float=_finite)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise ValueError(f"a file of more than {MAX_DEPTH} levels") from None
    except ValueError as error:
        if "digits" not in str(error):
            raise
        raise ValueError(f"a number of more than {MAX_DIGITS} digits") from None
    check_document(document)
    return document


def check_document(document: object) -> None:
    """Refuse what nests too deeply, or a number that is too long.

    Raises:
        ValueError: It does.
    """
    level: list[object] = [document]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        for value in level:
            if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
                raise ValueError(f"a number of more than {MAX_DIGITS} digits")
        level = [inner for value in level for inner in _inside(value)]
    raise ValueError(f"more than {MAX_DEPTH} levels of lists and tables")


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse a network's config that asks for more than any network has.

    Raises:
        ValueError: A number, a list or a name in it is out of range.
    """
    for name, value in config.items():
        most = MAX_CONFIG_SCALE if "scale" in str(name) else MAX_CONFIG_NUMBER
        numbers = value if isinstance(value, list | tuple) else [value]
        if len(numbers) > MAX_DEPTH:
            raise ValueError(f"config: {str(name)[:40]!r} has {len(numbers)} values")
        for number in numbers:
            if isinstance(number, str):
                if len(number) > MAX_TENSOR_NAME:
                    raise ValueError(f"config: {str(name)[:40]!r} is a text of {len(number)}")
            elif number is not None and not (
                isinstance(number, int | float) and isfinite(number) and abs(number) <= most
            ):
                raise ValueError(
                    f"config: {str(name)[:40]!r} is {str(number)[:40]}: at most {most}"
                )


def finite(value: float) -> bool:
    """Whether a number is neither NaN nor infinite; a whole one of any size is not too large."""
    try:
        return isfinite(value)
    except OverflowError:
        return False


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits: at most {MAX_DIGITS}")
    return int(text)


def _finite(text: str) -> float:
    value = float(text.replace("_", ""))
    if not isfinite(value):
        raise ValueError(f"a number that is not finite: {text[:40]}")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"a number that is not finite: {text}")
