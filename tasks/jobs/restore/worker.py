"""Restoring renditions from storage: read, check, restore, write. What a worker does."""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePosixPath

from rescaling_core.errors import RefoldError
from rescaling_core.metadata import RestorationMetadata, read_metadata
from rescaling_core.photo import RestoredFile, RestoredFormat
from rescaling_core.plan import OWN_FILE
from tasks.cluster.watchdog import WATCHDOG, allowed_seconds
from tasks.control.outcomes import Failure, outcome_of
from tasks.jobs.restore.requests import NotRestored, RestorationJob, Restored, RestoreRequest
from tasks.models.loading import Models, use_share_of_cpus
from tasks.renditions.names import extended, fitting, output_names
from tasks.renditions.pixels import pixel_limit
from tasks.renditions.restoring import Renditions, StoredRendition
from tasks.storage import ObjectColdError, Store, open_store


class Restorer:
    """Holds the stores and the networks for the life of a worker process."""

    def __init__(self, job: RestorationJob) -> None:
        self._overwrite = job.overwrite
        self._format = job.format
        self._thaw = job.thaw
        self._archive = open_store(job.archive_url)
        self._renditions = Renditions(self._archive, Models.for_reading(self._archive))
        # The owner's own folder, in which links lead where the owner wants them to.
        self._destination = open_store(job.destination_url, follow_links=True)
        use_share_of_cpus()

    def restore(self, request: RestoreRequest) -> Restored | NotRestored:
        """Restore one rendition; what goes wrong with it comes back as a value.

        Raises:
            StorageError: A store failed, so that nothing is known of it.
        """
        restored = outcome_of(request.source_key, partial(self._restore_or_thaw, request))
        if isinstance(restored, Failure):
            return NotRestored(source_key=request.source_key, reason=str(restored))
        return restored

    def _restore_or_thaw(self, request: RestoreRequest) -> Restored | NotRestored:
        try:
            return self._restore(request)
        except ObjectColdError as error:
            if error.url != self._archive.url:  # what lies at the destination is the owner's affair
                raise
            reason, key = str(error), request.source_key
            if error.thawing:
                return NotRestored(source_key=key, reason=reason, thaw="restoring")
            if not self._thaw:
                return NotRestored(
                    source_key=key, reason=f"{reason}; --thaw asks for it", thaw="archived"
                )
            self._archive.thaw(error.key)
            reason = f"{error.key} was asked for and is being thawed: run this again in some hours"
            return NotRestored(source_key=key, reason=reason, thaw="restoring")

    def _restore(self, request: RestoreRequest) -> Restored:
        stored = self._renditions.read_at(request.place, request.metadata_json)
        with WATCHDOG.watching(allowed_seconds(stored.recorded.width * stored.recorded.height)):
            file = stored.file(self._format)
        return write_restored(
            self._destination,
            fitting(request.output_key, file.extension),
            file,
            stored.recorded,
            overwrite=self._overwrite,
        )


def write_restored(
    store: Store,
    output_key: str,
    file: RestoredFile,
    recorded: RestorationMetadata,
    *,
    overwrite: bool,
) -> Restored:
    """Write a restored file, and first the zip beside it, so that no picture lies there without.

    Raises:
        RefoldError: Something else lies at one of the places and `overwrite` is off.
    """
    extras_key = None
    if file.extras is not None:
        extras_key = extended(output_key, file.extras_extension)
        write_output(store, extras_key, file.extras, overwrite=overwrite)
    write_output(store, output_key, file.data, overwrite=overwrite)
    return Restored(
        source_key=recorded.source_key,
        output_key=output_key,
        psnr_y=recorded.psnr_y,
        nbytes=len(file.data) + len(file.extras or b""),
        extras_key=extras_key,
    )


def write_output(store: Store, key: str, data: bytes, *, overwrite: bool) -> None:
    """Write a restored file; one that is already there with the same bytes is fine.

    Raises:
        RefoldError: Something else lies there and `overwrite` is off.
    """
    if overwrite:
        store.put(key, data)
    elif not store.put_new(key, data) and store.get(key) != data:
        raise RefoldError(f"{key}: exists with other content; --overwrite replaces it")


def restore_lr_file(
    path: str,
    destination_url: str,
    *,
    overwrite: bool,
    models_url: str | None = None,
    format: RestoredFormat = "png",
) -> Restored:
    """Restore one LR file by itself: no archive, no catalog, no cluster.

    The output is named after the source's base name.

    Args:
        path: Of the LR file.
        destination_url: Where the restored file is written to.
        overwrite: Replace other content that lies there.
        models_url: An archive, or a folder of `<sha256>.safetensors`, where the weights that the
            file names are looked for; besides, in the weights folder and among those that ship.
        format: Of the restored file.

    Raises:
        RefoldError: The weights it names are in none of the places, and which they are; it cannot
            be restored, or something else lies at its place.
    """
    models = Models.for_reading(others=() if models_url is None else (open_store(models_url),))
    restored = outcome_of(
        path, partial(_restore_lr_file, path, destination_url, models, overwrite, format)
    )
    if isinstance(restored, Failure):
        raise RefoldError(f"{path}: {restored}")
    return restored


def _restore_lr_file(
    path: str, destination_url: str, models: Models, overwrite: bool, format: RestoredFormat
) -> Restored:
    lr_data = Path(path).read_bytes()
    recorded = read_metadata(lr_data)
    source_name = PurePosixPath(recorded.source_key).name
    exact = {source_name} if recorded.rescaler in OWN_FILE else set()
    output_key = output_names([source_name], exact, format)[source_name]
    file = StoredRendition(lr_data, recorded, models, pixel_limit()).file(format)
    output_key = fitting(output_key, file.extension)
    store = open_store(destination_url, follow_links=True)
    return write_restored(store, output_key, file, recorded, overwrite=overwrite)
