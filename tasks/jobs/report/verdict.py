"""Whether a file at full size was, or would have been, the cheaper choice; in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from rescaling_core.plan.strategy import is_full_size
from tasks.catalog.strategies import StrategyCost
from tasks.jobs.report.summary import TargetAccount
from tasks.pages.words import size_text

_UNKNOWN = (
    "No file at full size was among the plan's candidates, so this run cannot say whether AVIF, "
    "JPEG XL or WebP at full size would have been the cheaper choice at this quality. It often is: "
    "refold plan ARCHIVE --preset balanced measures it on a sample."
)


def verdict(account: TargetAccount, strategies: Sequence[StrategyCost]) -> str:
    """Say how LR images and files at full size compare for one target.

    Args:
        account: Of the target, with at least one rendition that can be restored from.
        strategies: The target's part of `StrategyTallies.report`.
    """
    full = [one for one in strategies if is_full_size(one.strategy)]
    small = [one for one in strategies if not is_full_size(one.strategy)]
    if not full and not account.full_size:
        return _UNKNOWN
    said = [
        f"{account.full_size} of {account.archived} renditions are the picture at full size, "
        "which was the cheapest of the candidates: the archive holds no LR image of those."
        if account.full_size
        else "No file at full size was the cheapest for any picture."
    ]
    if full and small:
        said.append(_compared(full[0], small[0]))
    return " ".join(said)


def _compared(full: StrategyCost, small: StrategyCost) -> str:
    """The cheapest of either kind, each used for every picture."""
    cheaper, other = sorted((full, small), key=lambda one: one.alone_bytes)
    said = (
        f"For all pictures alike, {_priced(full)}, {_priced(small)}: "
        f"{cheaper.strategy} would have been the cheaper choice"
    )
    if cheaper.at_least:
        return f"{said}, as far as that is known (“at least” marks searches that were given up)."
    share = 1 - cheaper.alone_bytes / other.alone_bytes if other.alone_bytes else 0.0
    return f"{said}, by {'at least ' if other.at_least else ''}{share:.1%}."


def _priced(one: StrategyCost) -> str:
    bound = "at least " if one.at_least else ""
    return f"{one.strategy} would have stored {bound}{size_text(one.alone_bytes)}"
