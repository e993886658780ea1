"""A collection as an S3 Inventory report has it: what S3 wrote down, rather than a listing.

A report is a `manifest.json` that names data files, as Parquet or gzipped CSV. Each is copied to a
temporary file, held against its MD5, and read batch by batch, so that memory stays bounded.

Source: Amazon S3 user guide, "Locating your inventory list" and "Amazon S3 Inventory list".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any, Final, Literal
from urllib.parse import unquote_plus

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from rescaling_core import limits
from rescaling_core.errors import UsageError
from tasks.collection.listing import BATCH_ROWS, SCHEMA, check_globs, is_wanted
from tasks.storage import StorageError, Store, open_store

_NEEDED: Final = ("bucket", "key", "size", "e_tag")
_VERSIONED: Final = ("is_latest", "is_delete_marker")
"""Columns that only reports on all versions of objects have; only the newest versions are
sources."""

_ARN: Final = re.compile(r"arn:[^:]*:s3:::(?P<bucket>.+)")
_CSV_BLOCK: Final = 8 * 2**20


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a report."""

    key: str
    """Key in the destination bucket."""
    md5: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a report says of itself."""

    source_bucket: str
    destination_bucket: str
    format: Literal["CSV", "Parquet"]
    columns: tuple[str, ...]
    """Column names of CSV files, in their order, named as the Parquet files name them."""
    files: tuple[DataFile, ...]

    @classmethod
    def parse(cls, text: bytes, name: str) -> Manifest:
        """Read a manifest.json.

        Raises:
            UsageError: It is none, or of a report that sources cannot be found by.
        """
        try:
            document = limits.read_json(text)
            bucket = _ARN.fullmatch(document["destinationBucket"])
            manifest = cls(
                source_bucket=document["sourceBucket"],
                destination_bucket=bucket["bucket"] if bucket else document["destinationBucket"],
                format=document["fileFormat"],
                columns=tuple(map(_snake, document["fileSchema"].split(","))),
                files=tuple(DataFile(f["key"], f["MD5checksum"]) for f in document["files"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UsageError(
                f"{name}: not the manifest of an S3 Inventory report: {reason}"
            ) from error
        if manifest.format not in ("CSV", "Parquet"):
            raise UsageError(f"{name}: a report as {manifest.format}; CSV and Parquet can be read")
        if manifest.format == "CSV":
            _require(manifest.columns, name)
        return manifest


def read_report(
    source: Store, manifest_url: str, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The sources of a collection, by a report on its bucket.

    Args:
        source: The collection, on S3; of the report's objects those below its prefix are taken.
        manifest_url: Of the report's manifest.json.
        include: As for `listing.scan`.
        exclude: As for `listing.scan`.

    Yields:
        Batches of `listing.SCHEMA`, each sorted by key; reports as a whole need not be.

    Raises:
        UsageError: No such report, or of another bucket, or without sizes and etags.
        StorageError: A file of it is missing or damaged.
    """
    check_globs(include, exclude)
    from tasks.storage.s3.store import S3Store  # imports s3fs, which most collections do without

    if not isinstance(source, S3Store):
        raise UsageError(f"{source.url}: an S3 Inventory report is of a source on s3://")
    folder, _, name = manifest_url.rpartition("/")
    manifest = Manifest.parse(open_store(folder).get(name), manifest_url)
    if manifest.source_bucket != source.bucket:
        raise UsageError(
            f"{manifest_url}: a report on bucket {manifest.source_bucket}, not on {source.url}"
        )
    store = open_store(f"s3://{manifest.destination_bucket}")
    for file in manifest.files:
        with _copied(store, file) as path:
            batches = _csv(path, manifest) if manifest.format == "CSV" else _parquet(path, file.key)
            for batch in batches:
                found = _sources(batch, source.prefix)
                wanted = [is_wanted(key, include, exclude) for key in found["key"].to_pylist()]
                if any(wanted):
                    yield found.filter(pa.array(wanted)).sort_by("key")


@contextmanager
def _copied(store: Store, file: DataFile) -> Iterator[str]:
    """Path of a local copy that has the digest the manifest tells."""
    digest = hashlib.md5(usedforsecurity=False)
    with NamedTemporaryFile(prefix="refold-inventory-") as copy:
        for chunk in store.chunks(file.key):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        if digest.hexdigest() != file.md5:
            raise StorageError(f"{store.url}/{file.key}: not the file that its manifest names")
        yield copy.name


def _parquet(path: str, name: str) -> Iterator[pa.RecordBatch]:
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise StorageError(f"{name}: not a Parquet file: {error}") from error
    present = file.schema_arrow.names
    _require(present, name)
    columns = [*_NEEDED, *(column for column in _VERSIONED if column in present)]
    yield from file.iter_batches(batch_size=BATCH_ROWS, columns=columns)


def _csv(path: str, manifest: Manifest) -> Iterator[pa.RecordBatch]:
    """Keys in CSV files are URL-encoded; there is no header."""
    columns = [*_NEEDED, *(column for column in _VERSIONED if column in manifest.columns)]
    kinds: dict[str, Any] = dict.fromkeys(columns, pa.string()) | {"size": pa.int64()}
    kinds |= {column: pa.bool_() for column in columns if column in _VERSIONED}
    with pa.CompressedInputStream(pa.OSFile(path), "gzip") as stream:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(
                column_names=list(manifest.columns), block_size=_CSV_BLOCK
            ),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                include_columns=columns, column_types=kinds, strings_can_be_null=False
            ),
        )
        for batch in reader:
            keys = pa.array(map(unquote_plus, batch.column("key").to_pylist()), pa.string())
            yield batch.set_column(batch.schema.get_field_index("key"), "key", keys)


def _sources(batch: pa.RecordBatch, prefix: str) -> pa.RecordBatch:
    """Objects below the prefix that are not markers of folders, with keys relative to it."""
    key, size = batch.column("key"), pc.fill_null(batch.column("size"), 0)
    marker = pc.and_(pc.ends_with(key, "/"), pc.equal(size, 0))
    wanted = pc.and_(pc.starts_with(key, prefix), pc.invert(marker))
    if "is_latest" in batch.schema.names:
        wanted = pc.and_(wanted, pc.fill_null(batch.column("is_latest"), True))
    if "is_delete_marker" in batch.schema.names:
        deleted = pc.fill_null(batch.column("is_delete_marker"), False)
        wanted = pc.and_(wanted, pc.invert(deleted))
    relative = pc.utf8_slice_codeunits(key, start=len(prefix))
    etag = pc.fill_null(pc.utf8_trim(batch.column("e_tag"), '"'), "")
    none = pa.nulls(len(relative), pa.string())
    columns = [relative, size, etag, none, none]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA).filter(wanted)


def _require(columns: Sequence[str], name: str) -> None:
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise UsageError(
            f"{name}: the report lacks {', '.join(missing)}; Size and ETag are optional fields "
            "that its configuration has to ask for"
        )


def _snake(column: str) -> str:
    """`IsDeleteMarker` as `is_delete_marker`, `ETag` as `e_tag`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", column.strip()).lower()
