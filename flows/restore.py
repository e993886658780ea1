"""The restore job: HR images on demand, each checked before it is written."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow

from tasks.cluster.workplace import workplace
from tasks.control.opening import check_request
from tasks.control.run import Run
from tasks.jobs.restore import steps as restoring
from tasks.jobs.restore.check import Request, check, restored_format
from tasks.jobs.restore.choosing import Chosen
from tasks.jobs.restore.requests import NotRestored, RestorationJob, Restored
from tasks.jobs.restore.steps import REQUESTS_PER_WAVE
from tasks.jobs.restore.tally import RestoreTally
from tasks.jobs.restore.worker import Restorer
from tasks.settings import Settings, using
from tasks.storage.addresses import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSummary:
    """What was restored, and what was refused."""

    outputs: tuple[Restored, ...]
    failures: tuple[NotRestored, ...]


@flow(name="restore")
def restore(
    archive: Address,
    dest: Address,
    keys: tuple[str, ...] = (),
    where: str | None = None,
    target: str | None = None,
    overwrite: bool = False,
    earlier: bool = False,
    format: str = "png",
    thaw: bool = False,
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
        earlier: Where nothing is restorable of the last version of a source, restore an earlier
            version of it.
        format: Of restored files: `png`, `tiff`, `webp`, `jxl`, or `source` for the source's own
            where that holds the restored picture without loss. JPEG files that were stored bit for
            bit come back as they were.
        thaw: Ask the store for what lies in a cold class, so that a later run can restore it.
        settings: Of the workers, in place of what the environment says.

    Raises:
        UsageError: No archive there, a wrong format or condition, a preview as target.
        StorageError: A store cannot be reached.
    """
    request = Request(
        archive=archive, dest=dest, keys=keys, where=where, target=target, format=format
    )
    check_request(check, request)
    chosen, missing = restoring.select_renditions(archive, keys, where, target, earlier, format)
    restoring.open_destination(dest, archive)
    run = Run("restore", RestoreTally(), {})
    run.add(RestoreTally.of(missing), "selection")
    if chosen:
        with using(settings):
            job = RestorationJob(
                archive_url=archive,
                destination_url=dest,
                overwrite=overwrite,
                format=restored_format(format),
                thaw=thaw,
            )
            _restore(run, job, chosen)
    run.publish()
    return RestoreSummary(
        outputs=tuple(sorted(run.tally.restored, key=lambda one: one.source_key)),
        failures=tuple(sorted(run.tally.refused, key=lambda one: one.source_key)),
    )


def _restore(run: Run[RestoreTally], job: RestorationJob, chosen: list[Chosen]) -> None:
    total = len(chosen)
    with workplace(total) as place, place.pool(Restorer, "restore", (job,), jobs=total) as pool:
        for wave in run.waves(chosen, cut=total, at_least=REQUESTS_PER_WAVE, total=total):
            run.add(restoring.restore_wave(wave, job.archive_url, pool))
