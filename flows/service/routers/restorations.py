"""Restorations of many sources: asked for, looked after, cancelled."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from flows.service.asking import archive_of, key_of, require_reader
from flows.service.described import Failed
from flows.service.errors import PublicError
from flows.service.job_records import JobState, Order, new_id
from flows.service.jobs import Job
from flows.service.routers.renditions import PROBLEMS
from flows.service.state import Service
from flows.service.uploads import refuse_other_sites
from rescaling_core.errors import RefoldError
from rescaling_core.plan import Target
from tasks.catalog.paging import MOST_ROWS, Position, Search
from tasks.renditions.archive import Archive
from tasks.storage import open_store

router = APIRouter(prefix="/v1/restorations", tags=["restorations"])

MOST_KEYS: Final = 10_000
"""Of a job."""

Key = Annotated[str, Field(min_length=1, max_length=1024)]
Decibels = Annotated[FiniteFloat, Field(ge=0, le=1000)]

_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    **PROBLEMS,
    403: {"model": Failed, "description": "The key does not allow to restore."},
}
_EXAMPLE: Final[dict[str, Any]] = {
    "id": "20261126-104500-0a1b2c3d4e5f6071", "archive": "archive", "destination": "restored",
    "folder": "20261126-104500-0a1b2c3d4e5f6071", "state": "running", "total": 120, "done": 37,
    "failed": [], "outputs": [], "asked_at": "2026-11-26T10:45:00Z",
}  # fmt: skip


class Wanted(BaseModel):
    """Which sources are to be restored, and where to."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"destination": "restored", "prefix": "2019/", "psnr_min": 34}]
        },
    )

    destination: Annotated[str, Field(max_length=200)]
    """Name of a place that the operator allowed; each job gets a new folder in it."""
    archive: Annotated[str | None, Field(max_length=200)] = None
    """By default the first."""
    target: Annotated[str | None, Field(max_length=100)] = None
    """Restore from this target's renditions; by default from the best of each source."""
    keys: Annotated[list[Key] | None, Field(min_length=1, max_length=MOST_KEYS)] = None
    """Source keys; or else a condition, all parts of which have to hold."""
    prefix: Annotated[str | None, Field(max_length=1024)] = None
    glob: Annotated[str | None, Field(max_length=1024)] = None
    """Pattern of the whole source key: `*` and `?`."""
    psnr_min: Decibels | None = None
    psnr_max: Decibels | None = None

    @property
    def search(self) -> Search:
        """The condition."""
        return Search(
            prefix=self.prefix, glob=self.glob, target=self.target, psnr_min=self.psnr_min,
            psnr_max=self.psnr_max, restorable=True,
        )  # fmt: skip

    @property
    def has_condition(self) -> bool:
        """Whether there is one."""
        return any(
            one is not None for one in (self.prefix, self.glob, self.psnr_min, self.psnr_max)
        )


class Restored(BaseModel):
    """A file that was written."""

    key: str
    path: str
    """Within the job's folder."""
    psnr_y: float | None


class Told(BaseModel):
    """A job."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    archive: str
    destination: str
    folder: str
    """Of the job's files, in its destination."""
    state: JobState
    total: int
    """Sources that are to be restored."""
    done: int
    """Files that lie in the folder."""
    failed: list[str]
    """Keys of sources that could not be restored; the log says why."""
    outputs: list[Restored]
    """Once the job has ended."""
    asked_at: datetime


@router.get("", summary="The jobs", responses=_REFUSED)
async def jobs(request: Request) -> list[Told]:
    """Those of archives that may be restored from, the newest first, without their files."""
    service = require_reader(request)
    known = await service.do(service.jobs.all)
    return [_told(job, _restored(job), []) for job in known if _may(service, request, job.archive)]


@router.post(
    "", summary="Restore many", status_code=HTTPStatus.ACCEPTED, responses=_REFUSED
)  # fmt: skip
async def begin(wanted: Wanted, request: Request, response: Response) -> Told:
    """A job that restores what is named by keys, or by a condition.

    Every file is checked as `refold restore` checks it. Jobs run one after the other.
    """
    service = require_reader(request)
    refuse_other_sites(request)
    name = wanted.archive or next(iter(service.archives))
    archive = archive_of(request, name)
    _require(service, request, name)
    if wanted.destination not in service.destinations:
        raise PublicError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "destination: there is none of that name; the operator names them.",
        )
    if (wanted.keys is not None) == wanted.has_condition:
        raise PublicError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "keys: give keys, or a condition (prefix, glob, psnr_min, psnr_max).",
        )
    if wanted.target is not None and Target.parse(wanted.target).preview_only:
        raise PublicError(HTTPStatus.UNPROCESSABLE_ENTITY, "target: nothing is restored from it.")
    keys = (
        wanted.keys if wanted.keys is not None else await service.do(_keys, archive, wanted.search)
    )
    id = new_id()
    order = Order(archive=archive.store.url, destination=wanted.destination,
                  keys=tuple(dict.fromkeys(keys)), target=wanted.target,
                  asked_at=datetime.now(UTC))  # fmt: skip
    job = await service.do(service.jobs.add, id, order)
    response.headers["Location"] = f"/v1/restorations/{id}"
    return _told(job, 0, [])


@router.get("/{id}", summary="How far a job has come", responses=_REFUSED)
async def one(id: str, request: Request) -> Told:
    """Its state, and what it restored."""
    service = require_reader(request)
    job = await _job(service, request, id)
    done = await service.do(_written, job)
    return _told(job, done, _outputs(job))


@router.delete("/{id}", summary="Cancel", responses=_REFUSED)
async def cancel(id: str, request: Request) -> Told:
    """End it in order, or let it not begin; files that it wrote stay."""
    service = require_reader(request)
    refuse_other_sites(request)
    job = await _job(service, request, id)
    cancelled = await service.do(service.jobs.cancel, id)
    return _told(cancelled or job, _restored(job), [])


def _may(service: Service, request: Request, archive: str) -> bool:
    return service.keys.may_restore(key_of(request), archive, is_local=service.is_local)


def _require(service: Service, request: Request, archive: str) -> None:
    if not service.destinations:
        raise PublicError(HTTPStatus.FORBIDDEN, "Nothing is restored to anywhere here.")
    if not _may(service, request, archive):
        raise PublicError(HTTPStatus.FORBIDDEN, "This key does not allow to restore.")


async def _job(service: Service, request: Request, id: str) -> Job:
    job = await service.do(service.jobs.get, id)
    if job is None or not _may(service, request, job.archive):
        raise PublicError(HTTPStatus.NOT_FOUND, "There is no such job.")
    return job


def _keys(archive: Archive, search: Search) -> list[str]:
    """Of the sources that a condition chooses.

    Raises:
        PublicError: There is none, or there are more than a job may have.
    """
    found: dict[str, None] = {}
    after: Position | None = None
    while True:
        page = archive.page(search, after, MOST_ROWS)
        found.update(dict.fromkeys(row.source_key for row in page.rows))
        if len(found) > MOST_KEYS:
            raise PublicError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"More than {MOST_KEYS} sources meet the condition: ask for a part of them.",
            )
        after = page.next
        if after is None:
            break
    if not found:
        raise PublicError(HTTPStatus.NOT_FOUND, "No source meets the condition.")
    return list(found)


def _restored(job: Job) -> int:
    return 0 if job.end is None else len(job.end.outputs)


def _written(job: Job) -> int:
    """Files that a job has written so far."""
    if job.end is not None or job.state == "queued":
        return _restored(job)
    try:
        return sum(1 for _ in open_store(job.dest).list())
    except RefoldError:  # the folder is not there yet
        return 0


def _outputs(job: Job) -> list[Restored]:
    folder = f"{job.dest}/"
    return [
        Restored(
            key=one["source_key"],
            path=str(one["path"]).removeprefix(folder),
            psnr_y=one["psnr_y"] if isinstance(one["psnr_y"], float) else None,
        )
        for one in (() if job.end is None else job.end.outputs)
    ]


def _told(job: Job, done: int, outputs: list[Restored]) -> Told:
    return Told(
        id=job.id, archive=job.archive, destination=job.facts.destination, folder=job.id,
        state=job.state, total=job.facts.total, done=done,
        failed=[one["source_key"] for one in (() if job.end is None else job.end.failures)],
        outputs=outputs, asked_at=job.facts.asked_at,
    )  # fmt: skip
