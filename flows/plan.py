"""The planning job: what a collection would cost under several plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.catalog import Catalog
from tasks.jobs.plan.costs import PlanCosts, beside_alone
from tasks.jobs.plan.estimate import Estimate, as_archived, as_is, estimate
from tasks.jobs.plan.page import render_costs
from tasks.jobs.plan.sample import ArchivedCollection, LiveCollection, draw_sample
from tasks.pages.prices import read_prices
from tasks.plans.options import PlanOptions, build_plan, single_codec_plan
from tasks.renditions.stored_as import settle_storage
from tasks.storage import Store, open_store

SINGLE: tuple[str, ...] = ("avif-420", "jxl")
"""What an owner would otherwise do at full size, shown beside each plan: the same floor, the same
previews."""


def plan_costs(
    source: str,
    options: Mapping[str, PlanOptions],
    *,
    sample: int,
    seed: int = 0,
    prices: Path | None = None,
    html: Path | None = None,
) -> PlanCosts:
    """Convert a random sample of a collection or an archive under several plans and extrapolate.

    Of an archive, the sources are those of its catalog. They are read where they lie if they have
    not changed, and are restored from the archive if they are gone.

    It writes nothing but the page: no archive, no Prefect, no Ray.

    Args:
        source: URL or path of the collection or archive, which is only read.
        options: The plans, by the names to show them under.
        sample: How many sources to draw.
        seed: Another one draws other sources.
        prices: A TOML table of money a GB and month, by storage class, and of what is paid once.
        html: Where to write a page with plots.

    Raises:
        UsageError: A wrong URL, plan or price table, or an empty collection.
    """
    table = read_prices(prices)
    plans = {name: build_plan(one) for name, one in options.items()}
    for name, plan in list(plans.items()):
        for codec in SINGLE:
            if (single := single_codec_plan(codec, plan)) is not None:
                plans[_alone(codec, name)] = single
    store = open_store(source)
    store.require_root()
    archive = _archive(store)
    archived = [] if archive is None else [as_archived(archive.histories())]
    collection = archive or LiveCollection(store)
    drawn = draw_sample(collection, sample, name=source, seed=seed)
    settled = {
        name: settle_storage(plan, drawn.listed, Catalog(store)) for name, plan in plans.items()
    }
    plans = {name: one.plan for name, one in settled.items()}
    estimates = [as_is(drawn), *archived, *estimate(collection, drawn, plans)]
    costs = {one.plan: one.of_collection(drawn, table) for one in estimates}
    for name in options:
        if (alone := costs.get(_alone(SINGLE[0], name))) is not None:
            costs[name] = beside_alone(costs[name], alone)
    result = PlanCosts(
        source=source,
        archive=archive is not None,
        listed=drawn.listed,
        listed_bytes=drawn.listed_bytes,
        sampled=len(drawn.sources),
        storage=next((one.reason for one in settled.values() if one.reason), None),
        plans=tuple(costs.values()),
    )
    if html is not None:
        html.write_text(render_costs(result, _qualities(estimates)), encoding="utf-8")
    return result


def _alone(codec: str, plan: str) -> str:
    return f"{codec} alone, as {plan}"


def _archive(store: Store) -> ArchivedCollection | None:
    """What the store holds, if that is an archive."""
    catalog = Catalog(store)
    if not catalog.exists():
        return None
    from tasks.control.opening import find_source  # imports Prefect and Ray

    found = find_source.fn(catalog, None)
    return ArchivedCollection(
        store, catalog, None if found is None else open_store(found, follow_links=True)
    )


def _qualities(estimates: Sequence[Estimate]) -> dict[str, list[float]]:
    return {one.plan: one.psnr_y for one in estimates if one.psnr_y}
