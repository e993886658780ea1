"""What storage costs: the built-in price table, and the owner's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rescaling_core import limits
from rescaling_core.errors import UsageError

GB: Final = 1e9


PRICES: Final = """\
# Money a GB and month, by storage class. List prices of one provider, to be replaced by your own.
standard = 0.023
infrequent = 0.0125
archive = 0.004
"""


def read_prices(path: Path | None) -> dict[str, float]:
    """Read a price table; the built-in one by default.

    Raises:
        UsageError: It cannot be read, or a price is not a number of 0 or more.
    """
    name = "prices" if path is None else str(path)
    try:
        table = limits.read_toml(PRICES if path is None else path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: cannot be read: {error}") from error
    for storage_class, price in table.items():
        if (
            isinstance(price, bool)
            or not isinstance(price, int | float)
            or not limits.finite(price)
            or price < 0
        ):
            raise UsageError(
                f"{name}: {storage_class} = {price!r}: money a GB and month, 0 or more"
            )
    if not table:
        raise UsageError(f"{name}: it has no storage class")
    return {storage_class: float(price) for storage_class, price in table.items()}
