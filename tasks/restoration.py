"""Restoring renditions from storage: read, check, restore, write. What a worker does."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rescaling_core.errors import RefoldError, RestorationMismatchError
from rescaling_core.metadata import RestorationMetadata, read_metadata
from rescaling_core.photo import encode_photo
from rescaling_core.plan import TRANSCODE
from rescaling_core.restore import restore, restore_source_file
from tasks.models import load_model, use_share_of_cpus
from tasks.storage import Store, open_store
from tasks.storage.local import MAX_PART_BYTES

RESTORED_FORMAT = "PNG"
RESTORED_EXTENSION = ".png"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """One rendition to restore, and where to."""

    source_key: str
    lr_key: str
    lr_sha256: str
    metadata_json: str
    output_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A restoration that agreed with what was recorded, and was written."""

    source_key: str
    output_key: str
    psnr_y: float | None
    """dB, as measured against the source when it was archived."""
    nbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRestored:
    """A restoration that was refused, and why."""

    source_key: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationJob:
    """What every worker of a restore run is told once."""

    archive_url: str
    destination_url: str
    overwrite: bool


class Restorer:
    """Holds the stores and the networks for the life of a worker process."""

    def __init__(self, job: RestorationJob) -> None:
        self._overwrite = job.overwrite
        self._archive = open_store(job.archive_url)
        self._destination = open_store(job.destination_url)
        use_share_of_cpus()

    def restore(self, request: RestoreRequest) -> Restored | NotRestored:
        """Restore one rendition; what goes wrong with it comes back as a value."""
        try:
            return self._restore(request)
        except (RefoldError, FileNotFoundError) as error:
            reason = f"{type(error).__name__}: {error}"
            return NotRestored(source_key=request.source_key, reason=reason)

    def _restore(self, request: RestoreRequest) -> Restored:
        lr_data = read_lr_object(self._archive, request.lr_key, request.lr_sha256)
        recorded = RestorationMetadata.from_json(request.metadata_json)
        data = restored_file(lr_data, recorded)
        write_output(self._destination, request.output_key, data, overwrite=self._overwrite)
        return Restored(
            source_key=request.source_key,
            output_key=request.output_key,
            psnr_y=recorded.psnr_y,
            nbytes=len(data),
        )


def read_lr_object(archive: Store, key: str, sha256: str) -> bytes:
    """The bytes of an LR object, if they are what the catalog says.

    Raises:
        ObjectNotFoundError: It is not there.
        RestorationMismatchError: It is another one.
    """
    lr_data = archive.get(key)
    if hashlib.sha256(lr_data).hexdigest() != sha256:
        raise RestorationMismatchError(f"{key}: its bytes are not those that were archived")
    return lr_data


def restored_file(lr_data: bytes, recorded: RestorationMetadata | None) -> bytes:
    """The source's own bytes where the LR file gives them back, else a PNG of the restoration.

    Raises:
        RefoldError: The restoration does not agree with what was recorded.
    """
    source_file = restore_source_file(lr_data, recorded=recorded)
    if source_file is not None:
        return source_file
    return encode_photo(restore(lr_data, load_model, recorded=recorded), format=RESTORED_FORMAT)


def write_output(store: Store, key: str, data: bytes, *, overwrite: bool) -> None:
    """Write a restored file; one that is already there with the same bytes is fine.

    Raises:
        RefoldError: Something else lies there and `overwrite` is off.
    """
    if overwrite:
        store.put(key, data)
    elif not store.put_new(key, data) and store.get(key) != data:
        raise RefoldError(f"{key}: exists with other content; --overwrite replaces it")


def output_names(source_keys: Iterable[str], exact: Collection[str] = ()) -> Mapping[str, str]:
    """Name the restored file of each source: its own key, and `.png` behind it unless it has that.

    Those in `exact` come back as the file they were, under their own key. Other restored files are
    PNG, since a restoration is to be kept as it was checked. Two sources never share a name:
    `a.jpg` becomes `a.jpg.png`, or `a.jpg.restored.png` where that is a source too. A name that
    would be too long for a file is cut.
    """
    keys = sorted(source_keys)
    taken = {key for key in keys if key in exact or key.lower().endswith(RESTORED_EXTENSION)}
    names: dict[str, str] = {}
    for key in keys:
        name = key
        if key not in taken:
            extension = RESTORED_EXTENSION
            while (name := _extended(key, extension)) in taken:
                extension = f".restored{extension}"
            taken.add(name)
        names[key] = name
    return names


def _extended(key: str, extension: str) -> str:
    """The key and an extension; a last part too long for a file is cut, a digest tells it apart."""
    part = key.rpartition("/")[2]
    spare = MAX_PART_BYTES - len(extension)
    if len(encoded := part.encode("utf-8", "replace")) <= spare:
        return key + extension
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    cut = encoded[: spare - len(digest) - 1].decode("utf-8", "ignore")
    return f"{key.removesuffix(part)}{cut}~{digest}{extension}"


def restore_lr_file(path: str, destination_url: str, *, overwrite: bool) -> Restored:
    """Restore one LR file by itself: no archive, no catalog, no cluster.

    The output is named after the source's base name.

    Raises:
        RefoldError: The file cannot be restored, or something else lies at its place.
    """
    lr_data = Path(path).read_bytes()
    recorded = read_metadata(lr_data)
    source_name = PurePosixPath(recorded.source_key).name
    exact = {source_name} if recorded.rescaler == TRANSCODE else set()
    output_key = output_names([source_name], exact)[source_name]
    data = restored_file(lr_data, None)
    write_output(open_store(destination_url), output_key, data, overwrite=overwrite)
    return Restored(
        source_key=recorded.source_key,
        output_key=output_key,
        psnr_y=recorded.psnr_y,
        nbytes=len(data),
    )
