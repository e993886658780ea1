"""The restore job: HR images on demand, each checked before it is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from prefect import flow

from tasks.cluster.pool import worker_pool
from tasks.cluster.session import ray_session
from tasks.cluster.slots import worker_slots
from tasks.control.artifacts import publish
from tasks.control.record import new_run_id
from tasks.jobs.restore import steps as restoring
from tasks.jobs.restore.worker import NotRestored, RestorationJob, Restored, Restorer
from tasks.settings import Settings, using


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSummary:
    """What was restored, and what was refused."""

    outputs: tuple[Restored, ...]
    failures: tuple[NotRestored, ...]


@flow(name="restore")
def restore(
    archive: str,
    dest: str,
    keys: tuple[str, ...] = (),
    where: str | None = None,
    target: str | None = None,
    overwrite: bool = False,
    settings: Settings | None = None,
) -> RestoreSummary:
    """Restore HR images from an archive.

    Args:
        archive: URL or path of the archive.
        dest: URL or path of the folder to write to.
        keys: Source keys or globs; empty for all that `where` leaves.
        where: SQL condition on the columns of the catalog.
        target: Restore from this target's renditions; by default, of each source, from the one
            measured best.
        overwrite: Replace files that lie there with other content.
        settings: Of the workers, in place of what the environment says.

    Raises:
        UsageError: No archive there, a wrong condition, a preview as target.
        StorageError: A store cannot be reached.
    """
    chosen, missing = restoring.select_renditions(archive, keys, where, target)
    restoring.open_destination(dest)
    outcomes: list[Restored | NotRestored] = []
    if chosen:
        job = RestorationJob(archive_url=archive, destination_url=dest, overwrite=overwrite)
        with using(settings), ray_session():
            slots = worker_slots().at_most(len(chosen))
            with worker_pool(Restorer, "restore", (job,), slots) as pool:
                for number, wave in enumerate(restoring.waves_of(chosen), 1):
                    outcomes += restoring.restore_wave(
                        number, wave, archive, pool, len(outcomes), len(chosen)
                    )
    outcomes += missing
    outcomes.sort(key=lambda outcome: outcome.source_key)
    outputs = tuple(outcome for outcome in outcomes if isinstance(outcome, Restored))
    failures = tuple(outcome for outcome in outcomes if isinstance(outcome, NotRestored))
    publish(
        "restore",
        new_run_id(),
        {
            "restored": len(outputs),
            "refused": len(failures),
            "written bytes": sum(output.nbytes for output in outputs),
        },
        list(map(asdict, failures)),
    )
    return RestoreSummary(outputs=outputs, failures=failures)
