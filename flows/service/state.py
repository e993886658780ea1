"""What all requests share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from tasks.renditions.remembered import NotKeptError

Made = TypeVar("Made")

Counts = Callable[[], Awaitable[Sequence[tuple[str, bytes]]]]
"""Asks all replicas: the name of each, and its metrics in Prometheus' format."""


@dataclass(frozen=True, slots=True)
class Service:
    """The archives that are served, and the means."""

    archives: Mapping[str, Archive]
    """By the name that URLs call them by."""
    settings: ServeSettings
    metrics: Metrics
    work: Work
    """Where networks run."""
    quick: Work
    """For all else, so that who asks for a row or a tile that is kept waits for no network."""
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
    counts: Counts | None = None
    """Of all replicas; None where this process is the only one."""

    @property
    def tries(self) -> bool:
        """Whether visitors may try photos of their own."""
        allowed = self.settings.try_page
        return self.is_local if allowed is None else allowed

    async def do(self, call: Callable[..., Made], *arguments: Any) -> Made:
        """Do what takes storage or little work, away from the loop that answers requests."""
        return await self.quick.do(call, *arguments)

    async def make(self, picture: Callable[[bool], Made]) -> Made:
        """Make a picture: at once if no network has to run for it, else in its turn.

        Args:
            picture: Is called with whether only what is kept may be used, and then raises
                `NotKeptError` where that is not enough.
        """
        try:
            return await self.quick.do(picture, True)
        except NotKeptError:
            return await self.work.do(picture, False)


def service_of(request: Request) -> Service:
    """The service that a request was made to."""
    return cast("Service", request.app.state.service)
