"""What storing costs, at list prices."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.pages.prices import GB, read_prices


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyCost:
    """US dollars a month for what a run archived."""

    price: float
    """Price of a GB (10⁹ bytes) for a month: the list price of Amazon S3 Standard in us-east-1,
    first tier."""
    sources: float
    """Monthly cost of the archived sources alone, as before the run."""
    renditions: float
    """Monthly cost of their renditions alone, once the sources are retired."""

    @property
    def both(self) -> float:
        """As long as the sources stay."""
        return self.sources + self.renditions


def monthly_cost(source_bytes: int, stored_bytes: int) -> MonthlyCost:
    """Price sources and renditions by the first class of the built-in table."""
    price = read_prices(None).storage["standard"]
    return MonthlyCost(
        price=price, sources=source_bytes / GB * price, renditions=stored_bytes / GB * price
    )
