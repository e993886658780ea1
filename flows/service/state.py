"""What all requests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from fastapi import Request

from flows.service.access import Keys
from flows.service.jobs import Jobs
from flows.service.metrics import Metrics
from flows.service.settings import ServeSettings
from flows.service.trials import Trials
from flows.service.work import Places, Work
from tasks.renditions.archive import Archive

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Service:
    """The archives that are served, and the means."""

    archives: Mapping[str, Archive]
    """By the name that URLs call them by."""
    settings: ServeSettings
    metrics: Metrics
    work: Work
    keys: Keys
    is_local: bool
    """Whether only this machine can reach it."""
    trying: Work
    """Where photos of visitors are tried, one at a time."""
    uploads: Places
    """Of those who send one."""
    trials: Trials
    jobs: Jobs
    destinations: Mapping[str, str]
    """Where jobs may write: name → URL."""

    @property
    def tries(self) -> bool:
        """Whether visitors may try photos of their own."""
        allowed = self.settings.try_page
        return self.is_local if allowed is None else allowed

    async def do(self, call: Callable[..., Made], *arguments: Any) -> Made:
        """Do what takes a processor or storage, away from the loop that answers requests."""
        return await self.work.do(call, *arguments)


def service_of(request: Request) -> Service:
    """The service that a request was made to."""
    return cast("Service", request.app.state.service)
