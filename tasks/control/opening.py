"""Opening the stores and the catalog that a run works on, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prefect import task

from rescaling_core.errors import UsageError
from rescaling_core.plan import ArchivePlan
from tasks.catalog import Catalog, open_catalog
from tasks.catalog.trial import try_tables
from tasks.collection.access import refuse_nested, require_collection
from tasks.control.logs import run_log
from tasks.control.retries import RETRIED
from tasks.models.archived import settle
from tasks.models.lookup import Models
from tasks.renditions.stored_as import Settled, settle_storage
from tasks.storage import Store, open_store
from tasks.storage.probe import prove_conditional_writes

Asked = TypeVar("Asked")


@task(name="check request", **RETRIED)
def check_request(check: Callable[[Asked], None], request: Asked) -> None:
    """Refuse a request that cannot be done, before anything is written or started.

    The command has looked at it in the same way before it started Prefect. A flow is also called by
    deployments and from Python.

    Args:
        check: Of the job; see the `check` module of each.
        request: What was asked for.

    Raises:
        UsageError: What is wrong with it.
        StorageError: A store cannot be reached.
    """
    check(request)


@task(name="open source and archive", **RETRIED)
def open_for_writing(
    source_url: str, archive_url: str, *, follow_links: bool = False
) -> tuple[Store, Store]:
    """Open both stores and prove that the archive's honours conditional writes.

    Raises:
        UsageError: A wrong URL, a source that does not exist, no credentials.
        StorageError: The archive's store lets two writers win.
    """
    source, archive = open_store(source_url, follow_links=follow_links), open_store(archive_url)
    refuse_nested(source, archive)
    require_collection(source, archive)
    catalog = Catalog(archive)  # refuses an address that no catalog can have
    prove_conditional_writes(archive)
    if not catalog.exists():
        try_tables(archive)
    return source, archive


@task(name="open for a dry run", **RETRIED)
def open_for_reading(
    source_url: str, archive_url: str, *, follow_links: bool = False
) -> tuple[Store, Catalog]:
    """Open the source, and the catalog whether or not there is one; nothing is written.

    Raises:
        UsageError: A wrong URL, or a source that does not exist.
    """
    source, archive = open_store(source_url, follow_links=follow_links), open_store(archive_url)
    refuse_nested(source, archive)
    require_collection(source, archive)
    return source, Catalog(archive)


@task(name="open archive", **RETRIED)
def open_archive(url: str, *, prove: bool = False, lost: bool = False) -> Catalog:
    """Open the catalog of an archive.

    Args:
        url: URL or path of the archive.
        prove: Prove that its store honours conditional writes: the archive is to be written to.
        lost: The catalog may be gone; only the archive's root has to be there.

    Raises:
        UsageError: A wrong URL, or no archive there.
        StorageError: The store lets two writers win.
    """
    store = open_store(url)
    if lost:
        store.require_root()
        catalog = Catalog(store)
    else:
        catalog = open_catalog(store, create=False)
    if prove:
        prove_conditional_writes(store)
    return catalog


@task(name="settle networks", **RETRIED)
def settle_networks(plan: ArchivePlan, archive_url: str) -> tuple[ArchivePlan, Models]:
    """Settle which weights a plan means and put them into the archive, before any row names them.

    Raises:
        UsageError: A rescaler is not known, or two have the same id.
        CheckpointError: Weights are damaged.
        StorageError: The store failed.
    """
    return settle(plan, open_store(archive_url))


@task(name="settle storage", **RETRIED)
def settle_stored(plan: ArchivePlan, sources: int, catalog: Catalog) -> Settled:
    """Decide how LR files are stored where a plan does not say, and tell why they lie in packs.

    Raises:
        StorageError: The archive cannot be read.
    """
    settled = settle_storage(plan, sources, catalog)
    if settled.reason is not None:
        run_log().info("%s", settled.reason)
    return settled


@task(name="find source", **RETRIED)
def find_source(catalog: Catalog, source_url: str | None) -> str | None:
    """The collection to read from: the one named, else that of the last archive run.

    Returns:
        Its URL; None if none is known, or the known one is not there any more.

    Raises:
        UsageError: The one named is not there.
        StorageError: The store failed, so that nothing is known of it.
    """
    if source_url is not None:
        open_store(source_url).require_root()
        return source_url
    for run in reversed(catalog.runs()):
        recorded = run.parameters.get("source")
        if recorded is not None:
            try:
                open_store(recorded).require_root()
            except UsageError:
                return None
            return str(recorded)
    return None
