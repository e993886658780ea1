"""Events of Prefect, for automations: a run found damage, or put too much into quarantine.

`infra/automations.py` makes automations that wait for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prefect.events import emit_event
from prefect.runtime import deployment

from tasks.control.artifacts import only_reporting

DAMAGE: Final = "refold.scrub.damage"
"""A scrub found something that is not what was written."""
QUARANTINE: Final = "refold.archive.quarantine"
"""More than a hundredth of what an archive run looked at went to quarantine, and ten at least."""

_MANY: Final = 10
_SHARE: Final = 0.01


def event_of(job: str, counts: Mapping[str, int]) -> str | None:
    """The event that the counts of a run ask for.

    Args:
        job: Such as `scrub`.
        counts: What the run counted, by its name.
    """
    if job == "scrub" and counts.get("findings", 0):
        return DAMAGE
    bad = counts.get("quarantined", 0)
    looked_at = counts.get("listed", 0) - counts.get("unchanged", 0)
    if job == "archive" and bad >= _MANY and bad > _SHARE * looked_at:
        return QUARANTINE
    return None


def tell(job: str, run_id: str, counts: Mapping[str, int]) -> None:
    """Send the event of a run of a deployment, if there is one; a command by hand sends none."""
    name = event_of(job, counts)
    if name is None or deployment.id is None:
        return
    resource = {"prefect.resource.id": f"refold.run.{run_id}", "prefect.resource.name": job}
    with only_reporting():
        emit_event(name, resource, payload=dict(counts))
