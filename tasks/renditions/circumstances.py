"""What a decision against a source depended on, so that it is made again when that has changed.

A source is kept or put into quarantine for reasons that may pass: a decoder that is not
installed, a format that this release cannot carry, a floor or a limit of the plan. The row says
which they were in its column `depends_on`, and a run under other circumstances looks at the source
again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rescaling_core import __version__
from rescaling_core.photo.opening import available_formats

if TYPE_CHECKING:
    from rescaling_core.plan import ArchivePlan, TargetPlan


def opening() -> str:
    """For sources that are not opened: the release, and the formats this installation reads."""
    return f"release={__version__} formats={','.join(sorted(available_formats()))}"


def conversion(plan: TargetPlan) -> str:
    """For sources that were opened and converted to nothing better: the release and the plan."""
    deciding = {name: value for name, value in asdict(plan).items() if name != "store"}
    text = json.dumps(deciding, sort_keys=True, default=str)
    return f"release={__version__} plan={hashlib.sha256(text.encode()).hexdigest()[:16]}"


def limit(plan: ArchivePlan) -> str:
    """For sources that are too large for the plan."""
    return f"max_pixels={plan.max_pixels}"


def of_run(plan: ArchivePlan) -> frozenset[str]:
    """All that the decisions of a run with this plan, here and now, can depend on."""
    return frozenset({opening(), limit(plan), *map(conversion, plan.targets)})
