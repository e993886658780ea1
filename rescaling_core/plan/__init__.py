"""What an owner asks for: targets, candidates, floors and limits, checked before any work."""

from rescaling_core.plan.candidate import Candidate, LrMode, ResidualPlan, Sources
from rescaling_core.plan.plan import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_PREVIEW_CODEC,
    PREVIEW_RESCALER,
    ArchivePlan,
    TargetPlan,
)
from rescaling_core.plan.strategy import AS_STORED, FULL_SIZE, OWN_FILE, REPACK, TRANSCODE
from rescaling_core.plan.target import Target
from rescaling_core.quality.floor import Floor

__all__ = [
    "AS_STORED",
    "DEFAULT_MAX_PIXELS",
    "DEFAULT_PREVIEW_CODEC",
    "FULL_SIZE",
    "OWN_FILE",
    "PREVIEW_RESCALER",
    "REPACK",
    "TRANSCODE",
    "ArchivePlan",
    "Candidate",
    "Floor",
    "LrMode",
    "ResidualPlan",
    "Sources",
    "Target",
    "TargetPlan",
]
