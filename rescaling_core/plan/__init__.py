"""What an owner asks for: targets, candidates, floors and limits, checked before any work."""

from rescaling_core.plan.candidate import Candidate, LastFilter, LrMode, ResidualPlan, Sources
from rescaling_core.plan.plan import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_PREVIEW_CODEC,
    PREVIEW_RESCALER,
    ArchivePlan,
    StoredAs,
    TargetPlan,
)
from rescaling_core.plan.strategy import (
    AS_STORED,
    DEEP,
    EXACT_FILE,
    FULL_SIZE,
    OWN_FILE,
    PACKED,
    REPACK,
    TRANSCODE,
)
from rescaling_core.plan.target import Target
from rescaling_core.quality.floor import Floor

__all__ = [
    "AS_STORED",
    "DEEP",
    "DEFAULT_MAX_PIXELS",
    "DEFAULT_PREVIEW_CODEC",
    "EXACT_FILE",
    "FULL_SIZE",
    "OWN_FILE",
    "PACKED",
    "PREVIEW_RESCALER",
    "REPACK",
    "TRANSCODE",
    "ArchivePlan",
    "Candidate",
    "Floor",
    "LastFilter",
    "LrMode",
    "ResidualPlan",
    "Sources",
    "StoredAs",
    "Target",
    "TargetPlan",
]
