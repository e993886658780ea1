"""The page of a report: what it says, and that nothing hostile gets into it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from html.parser import HTMLParser
from math import inf

import pytest

from rescaling_core.plan import Floor
from tasks.catalog import RunRecord
from tasks.catalog.strategies import StrategyCost
from tasks.jobs.report.money import monthly_cost
from tasks.jobs.report.page import Report, floor_text, render_report
from tasks.jobs.report.previews import Preview, Shown
from tasks.jobs.report.summary import RunAccount, TargetAccount
from tasks.jobs.report.verdict import verdict
from tasks.pages.words import duration_text
from tasks.plans.options import PlanOptions, build_plan
from tests.rows import row
from tests.unit.report_samples import START, account, record

HOSTILE = "<script>alert(1)</script>/a\"b'.png"
PIXEL = Preview(uri="data:image/png;base64,AAAA", width=2, height=1, full_width=4, full_height=2)


class _Page(HTMLParser):
    """Tags, attributes and texts of a page, decoded."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.attributes if known == name]


def _page(found: RunAccount, run: RunRecord | None = None, *shown: Shown) -> _Page:
    return _Page(
        render_report(
            Report(
                archive="s3://bucket/<b>",
                run=run or record(),
                account=found,
                shown=shown,
                made_at=START,
            )
        )
    )


def _archived(key: str, psnr_y: float = 34.0, **values: object):
    known = {"lr_bytes": 100, "psnr_y": psnr_y, "ssim_y": 0.95, "rescaler": "irn-x2-lite"}
    return row(key, **(known | values))


def test_hostile_keys_reasons_and_runs_are_shown_as_they_are_and_do_nothing() -> None:
    rows = [
        _archived(HOSTILE),
        row(HOSTILE, "x4", "kept", reason=f"not smaller: {HOSTILE}"),
        row("q" + HOSTILE, "x4", "quarantined", reason=HOSTILE, error_class="<i>"),
    ]
    asked = json.dumps({"source": HOSTILE, "plan": {"targets": [], "name": HOSTILE}})
    page = _page(
        account(rows),
        record(HOSTILE, software=HOSTILE, parameters_json=asked),
        Shown(row=rows[0], stored=PIXEL, restored=PIXEL, strategy=HOSTILE),
        Shown(row=rows[0], refusal=f"{HOSTILE} was refused"),
    )
    assert not {"script", "i", "b", "a", "link", "iframe"} & set(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert page.all("alt") == [f"LR image of {HOSTILE}", f"Restored image of {HOSTILE}"]
    assert page.text.count(HOSTILE) >= 8
    assert f"not smaller: {HOSTILE}" in page.text
    assert f"The restoration was refused: {HOSTILE} was refused" in page.text


def test_nothing_is_fetched_from_elsewhere() -> None:
    page = _page(account([_archived("a"), _archived("b", 36.0)]), None, Shown(row=_archived("a")))
    assert page.all("src") == []
    assert page.all("href") == []
    assert all(link.startswith("#") for link in page.all("xlink:href"))
    (policy,) = (value for value in page.all("content") if "src" in value)
    assert policy.startswith("default-src 'none'; img-src data:;")
    ids = [one for one in page.all("id") if not re.match(r"[mp][0-9a-f]{10}$", one)]
    assert len(ids) == len(set(ids))


def test_the_first_lines_say_what_happened_and_the_tables_by_target() -> None:
    rows = [
        _archived("a"),
        _archived("a", target="x4", psnr_y=30.0),
        row("b", "x4", "kept", reason="no"),
    ]
    page = _page(account(rows), record(stored_bytes=200, source_bytes=1000))
    assert "Of 15 sources, 10 were archived, 2 kept as they are, 1 put into quarantine" in page.text
    assert "and 2 had not changed since an earlier run. 1.0 kB of sources became 200 B" in page.text
    assert "Begun 2026-05-17 08:30 UTC, took 2 minutes and 3 seconds, with refold 9.9." in page.text
    assert "x2 1 0 0 x4 1 1 0 sources 15 10 2 1 2" in page.text
    assert "x2 1.0 kB 100 B 10.0% x4 1.0 kB 100 B 10.0% all 1.0 kB 200 B 20.0%" in page.text
    assert "Later runs replaced" not in page.text


def test_what_later_runs_replaced_is_admitted() -> None:
    page = _page(account([_archived("a")]), record(stored_bytes=300))
    assert "The run stored 300 B; of that the catalog still names 100 B." in page.text


def test_a_backfill_is_told_in_its_own_words() -> None:
    rows = [_archived("a", origin="restored image")]
    page = _page(account(rows), record(job="backfill", source_bytes=0, stored_bytes=100))
    assert "15 archived sources lacked a target: 10 renditions were made" in page.text
    assert "1 were made from restored images and compare with those" in page.text
    assert "what the run added under $0.01" in page.text
    assert "before:" not in page.text


def test_money_is_what_the_list_price_says_and_nothing_is_saved_yet() -> None:
    cost = monthly_cost(2 * 10**12, 10**11)
    assert (cost.sources, cost.renditions) == (pytest.approx(46.0), pytest.approx(2.3))
    assert cost.both == pytest.approx(48.3)
    rows = [_archived("a", source_size=2 * 10**12, lr_bytes=10**11)]
    page = _page(account(rows))
    assert "the archived sources $46.00 now: sources and renditions $48.30" in page.text
    assert "once the sources are retired: renditions $2.30" in page.text
    assert "Nothing is saved while the sources stay." in page.text


def test_the_floor_of_the_run_is_told_and_drawn() -> None:
    plan = build_plan(PlanOptions(floor=("psnr_y=33.5",)))
    run = record(parameters_json=json.dumps({"plan": asdict(plan)}))
    found = account([_archived(key, psnr) for key, psnr in (("a", 34.0), ("b", 36.0))])
    page = _page(found, run)
    assert "The floor was PSNR-Y of 33.5 dB." in page.text
    assert "floor 33.5" in page.texts
    assert "PSNR-Y 34.00 dB 34.00 dB 34.00 dB 35.00 dB" in page.text
    assert len([label for label in page.all("aria-label") if "for x2" in label]) == 3
    without = _page(found)
    assert "No floor is recorded" in without.text
    assert not any(text.startswith("floor") for text in without.texts)


def test_exact_restorations_are_counted_and_not_drawn() -> None:
    page = _page(account([_archived("a", inf), _archived("b", inf)]))
    assert "2 of 2 restorations are exact" in page.text
    assert "PSNR-Y exact exact exact –" in page.text
    assert [label[:27] for label in page.all("aria-label")] == ["Histogram of the restored S"]


def test_a_run_that_archived_nothing_has_a_page() -> None:
    page = _page(account())
    assert "archived nothing that can be restored from" in page.text
    assert page.text.count("None.") == 2


def _strategy(name: str, alone: int, *, at_least: bool = False) -> StrategyCost:
    return StrategyCost(strategy=name, won=1, alone_bytes=alone, saved_bytes=1, at_least=at_least)


AVIF = _strategy("avif-420 at full size", 8000)


@pytest.mark.parametrize(
    ("full_size", "strategies", "said"),
    [
        (0, [], "cannot say whether AVIF, JPEG XL or WebP at full size would have been"),
        (0, [_strategy("lanczos, webp", 5)], "cannot say whether"),
        (3, [], "3 of 4 renditions are the picture at full size"),
        (
            0,
            [_strategy("lanczos, webp", 6000), AVIF],
            "lanczos, webp would have been the cheaper choice, by 25.0%.",
        ),
        (2, [_strategy("JPEG XL of the JPEG", 5), AVIF], "LR image of those."),
        (
            3,
            [AVIF, _strategy("lanczos, webp", 10_000, at_least=True)],
            "avif-420 at full size would have been the cheaper choice, by at least 20.0%.",
        ),
        (
            3,
            [_strategy("lanczos, webp", 4000, at_least=True), AVIF],
            "lanczos, webp would have been the cheaper choice, as far as that is known",
        ),
    ],
)
def test_it_says_where_a_file_at_full_size_was_cheaper(full_size, strategies, said) -> None:
    told = verdict(TargetAccount(archived=4, full_size=full_size), strategies)
    assert said in told
    assert ("For all pictures alike" in told) == ("cheaper choice" in said and "cannot" not in said)


def test_floors_and_durations_in_words() -> None:
    from datetime import timedelta

    assert floor_text(Floor(psnr_y=34, max_abs_error=8)) == "PSNR-Y of 34 dB, largest error of 8"
    assert floor_text(Floor()) == ""
    assert [duration_text(timedelta(seconds=s)) for s in (3.21, 75, 7260)] == [
        "3.2 seconds",
        "1 minute and 15 seconds",
        "2 hours and 1 minute",
    ]
