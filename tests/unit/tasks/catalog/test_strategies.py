"""Adding up what strategies would have stored."""

from __future__ import annotations

import json
from dataclasses import replace

from rescaling_core.convert.rivals import NOTHING, Cost, Rivals
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.plan.rival import Rival
from rescaling_core.plan.strategy import FULL_SIZE, TRANSCODE, is_full_size, strategy_name
from tasks.catalog import Archived
from tasks.catalog.strategies import StrategyCost, StrategyTallies, from_json, to_json
from tests.rows import row
from tests.unit.rescaling_core.metadata.test_metadata_documented import EXAMPLE


def _row(target: str, nbytes: int, rivals: tuple[Rival, ...], **winner: object) -> Archived:
    recorded = replace(
        RestorationMetadata.from_json(json.dumps(EXAMPLE)),
        **{"rescaler": "none", "codec": "webp", **winner},  # type: ignore[arg-type]
    )
    return row(
        target=target,
        lr_bytes=nbytes,
        metadata_json=recorded.to_json(),
        strategies_json=to_json(rivals),
    )


def test_a_strategy_costs_what_its_cheapest_candidate_does_and_else_the_source() -> None:
    rivals = Rivals(1000, ["a", "b", "c"])
    rivals.add("a", Cost(700))
    rivals.add("a", Cost(500, at_least=True))
    rivals.add("a", NOTHING)
    rivals.add("b", NOTHING)
    rivals.add("c", Cost(1200, at_least=True))  # whatever it takes, the source is kept instead
    assert rivals.all() == (
        Rival("a", 500, at_least=True),
        Rival("b", 1000),
        Rival("c", 1000),
    )


def test_costs_read_back() -> None:
    rivals = (Rival("webp at full size", 10), Rival("ü, avif", 12, at_least=True))
    assert from_json(to_json(rivals)) == rivals
    assert to_json(()) is None
    assert from_json(None) == ()


def test_what_was_saved_is_told_for_each_target_and_strategy() -> None:
    webp, avif = "webp at full size", "avif at full size"
    tallies = StrategyTallies()
    tallies.add(_row("x2", 40, (Rival(webp, 40), Rival(avif, 60, at_least=True))))
    tallies.add(_row("x2", 30, (Rival(webp, 50), Rival(avif, 30)), codec="avif"))
    tallies.add(_row("x4", 10, (Rival(webp, 10),)))
    tallies.add(replace(_row("x2", 7, ()), strategies_json=None))  # of a rebuilt catalog
    tallies.add(row(state="kept"))
    assert tallies.report() == {
        "x2": [
            StrategyCost(strategy=webp, won=1, alone_bytes=90, saved_bytes=20, at_least=False),
            StrategyCost(strategy=avif, won=1, alone_bytes=90, saved_bytes=20, at_least=True),
        ]
    }
    assert "| avif at full size | 1 | ≥ 90 | ≥ 20 |" in tallies.markdown()


def test_a_strategy_that_was_not_tried_everywhere_is_not_compared() -> None:
    tallies = StrategyTallies()
    for rivals in ((Rival("a", 5), Rival("b", 6)), (Rival("a", 5), Rival("b", 6), Rival("c", 1))):
        tallies.add(_row("x2", 5, rivals))
    assert [one.strategy for one in tallies.report()["x2"]] == ["a", "b"]


def test_files_at_full_size_are_told_from_lr_images_by_name() -> None:
    for rescaler in (FULL_SIZE, TRANSCODE):
        assert is_full_size(strategy_name(rescaler, "jxl-lossless"))
    for residual in (False, True):
        assert not is_full_size(strategy_name("lanczos", "webp", residual=residual))


def test_no_choice_no_report() -> None:
    assert StrategyTallies().report() == {}
    assert StrategyTallies().markdown() == ""
