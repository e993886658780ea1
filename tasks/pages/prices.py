"""What storage, requests and computing cost: the built-in price table, and the owner's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rescaling_core import limits
from rescaling_core.errors import UsageError

GB: Final = 1e9

PRICES: Final = """\
# Money a GB and month, by storage class. List prices of one provider, to be replaced by your own.
standard = 0.023
infrequent = 0.0125
archive = 0.004

[once]
# Money for converting, which is spent once.
core_hour = 0.04      # one core for an hour; a worker takes one
read_1000 = 0.0004    # a thousand requests that read
write_1000 = 0.005    # a thousand requests that write

[least]
# Bytes that an object is billed for at least, by storage class.
infrequent = 131072
archive = 131072
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What an owner pays."""

    storage: dict[str, float]
    """Money a GB (10⁹ bytes) and month, by storage class; at least one."""
    core_hour: float = 0.0
    """Money for an hour of one core."""
    read_1000: float = 0.0
    """Money for a thousand requests that read."""
    write_1000: float = 0.0
    """Money for a thousand requests that write."""
    least: dict[str, int] = field(default_factory=dict)
    """Bytes that an object is billed for at least, by storage class; others bill it as it is."""


_ONCE: Final = ("core_hour", "read_1000", "write_1000")


def read_prices(path: Path | None) -> Prices:
    """Read a price table; the built-in one by default.

    What a table says nothing of in `[once]` costs nothing, and what it says nothing of in `[least]`
    is billed as it is.

    Raises:
        UsageError: It cannot be read, or a price is not a number of 0 or more, or a least size is
            of no class that has a price.
    """
    name = "prices" if path is None else str(path)
    try:
        table = limits.read_toml(PRICES if path is None else path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: cannot be read: {error}") from error
    once = table.pop("once", {})
    if not isinstance(once, dict):
        raise UsageError(f"{name}: once is a table of {', '.join(_ONCE)}")
    if unknown := sorted(once.keys() - set(_ONCE)):
        raise UsageError(f"{name}: once.{unknown[0]} is not known; one of {', '.join(_ONCE)}")
    least = table.pop("least", {})
    if not isinstance(least, dict):
        raise UsageError(f"{name}: least is a table of bytes by storage class")
    if not table:
        raise UsageError(f"{name}: it has no storage class")
    storage = {
        key: _price(value, f"{name}: {key}", "a GB and month") for key, value in table.items()
    }
    paid = {key: _price(value, f"{name}: once.{key}", "") for key, value in once.items()}
    if unknown := sorted(least.keys() - storage.keys()):
        raise UsageError(f"{name}: least.{unknown[0]}: a class without a price")
    sizes = {key: _bytes(value, f"{name}: least.{key}") for key, value in least.items()}
    return Prices(storage=storage, least=sizes, **paid)


def months_to_pay(once: float, saved: float) -> float | None:
    """Months until what is saved each month has paid for what was spent once; None for never."""
    if once <= 0:
        return 0.0
    return round(once / saved, 1) if saved > 0 else None


def _price(value: Any, path: str, unit: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not limits.finite(value) or value < 0:
        raise UsageError(f"{path} = {value!r}: money{unit and ' ' + unit}, 0 or more")
    return float(value)


def _bytes(value: Any, path: str) -> int:
    if type(value) is not int or value < 0:
        raise UsageError(f"{path} = {value!r}: bytes, 0 or more")
    return value
