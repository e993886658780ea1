"""What Prefect does when a step meets a store that fails for a while: tries again, ever later.

Single requests are tried again by the S3 client already; this is for outages that outlast it. Steps
that take these options can be run twice: what they wrote the first time is found and kept.
"""

from __future__ import annotations

from typing import Any, Final

from prefect.cache_policies import NO_CACHE

from tasks.control.outcomes import is_transient

DELAYS: Final = [2, 15, 60]
"""Seconds before a step is tried again; half more or less, so that workers do not return as one."""


def is_retryable(state: Any) -> bool:
    """Whether a failed step met something that may pass."""
    return is_transient(state.result(raise_on_failure=False))


RETRIED: Final[dict[str, Any]] = {
    "cache_policy": NO_CACHE,
    "retries": len(DELAYS),
    "retry_delay_seconds": DELAYS,
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": lambda _task, _run, state: is_retryable(state),
}
"""Options of a Prefect task that can be tried again as a whole."""
