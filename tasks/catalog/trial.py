"""A tiny table at the address of an archive, before anything is converted for it.

Delta Lake does not read every address as the file system and the store do, and its native parts may
panic on one. Which addresses that are changes with its releases, so the address itself is tried.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from deltalake import write_deltalake

from rescaling_core.errors import UsageError
from tasks.catalog import query as sql
from tasks.catalog.delta import CatalogTable
from tasks.storage import StorageError
from tasks.storage.probe import PROBE_FOLDER

if TYPE_CHECKING:
    from tasks.storage import Store

_SCHEMA: Final = pa.schema([pa.field("word", pa.string())])


def try_tables(store: Store) -> None:
    """Write a table below the address of an archive, read it, and remove it.

    Raises:
        UsageError: Delta Lake cannot keep a table there; the address is to be another one.
        StorageError: The store failed.
    """
    folder = f"{PROBE_FOLDER}/{uuid.uuid4().hex}"
    try:
        _try(store, folder)
    except (UsageError, StorageError):
        raise
    except BaseException as error:
        # A panic of a native library is not an Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{store.url}: Delta Lake, which keeps the catalog, cannot use this address: {reason}; "
            "choose another one"
        ) from error
    finally:
        with suppress(StorageError):
            for info in list(store.list(f"{folder}/")):
                store.delete(info.key)


def _try(store: Store, folder: str) -> None:
    table = CatalogTable(store, folder, _SCHEMA, indexed=("word",))
    options = store.delta_options()
    rows = pa.table({"word": ["tried"]}, schema=_SCHEMA)
    for _ in range(2):  # the first makes the table, the second reads what the first has written
        write_deltalake(table.uri, rows, mode="append", storage_options=options)
    found = sql.query(table.current(), f"SELECT word FROM {sql.TABLE}", _SCHEMA)  # noqa: S608
    if sum(batch.num_rows for batch in found) != 2 * rows.num_rows:
        raise UsageError(f"{store.url}: a table that is kept there does not read as it was written")
    if not any(True for _ in store.list(f"{folder}/")):
        raise UsageError(f"{store.url}: Delta Lake takes this address for another one")
