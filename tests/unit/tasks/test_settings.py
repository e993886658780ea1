"""What the environment may say, where it is documented, and how one run says otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.archive import archive
from flows.backfill import backfill
from flows.restore import restore
from flows.retire import retire
from flows.scrub import scrub
from rescaling_core.errors import UsageError
from tasks.cluster.slots import WorkerSlots, photos_at_once
from tasks.settings import Settings, current, for_workers, using

DOCS = Path(__file__).parents[3] / "docs" / "performance.md"


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        ("REFOLD_CPUS_PER_WORKER", ("0", "-1", "half", "inf", "nan")),
        ("REFOLD_GPUS_PER_WORKER", ("0", "-1", "half", "inf", "nan")),
        ("REFOLD_WORKERS", ("0", "-1", "1.5", "many", "")),
        ("REFOLD_PHOTOS_AT_ONCE", ("0", "two")),
        ("REFOLD_ENCODERS", ("-1", "half")),
    ],
)
def test_a_variable_that_is_not_such_a_number_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, wrong: tuple[str, ...]
) -> None:
    current()
    for text in wrong:
        monkeypatch.setenv(variable, text)
        with pytest.raises(UsageError, match=f"{variable}={text!r}: "):
            current()


def test_the_environment_is_read_again_only_when_it_says_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = current()
    monkeypatch.setenv("HOME", "/elsewhere")
    assert current() is before  # each request to a store asks
    for name in ("REFOLD_THAW_DAYS", "refold_thaw_tier"):  # pydantic takes either
        monkeypatch.setenv(name, "9" if name.isupper() else "Bulk")
    assert (current().thaw_days, current().thaw_tier) == (9, "Bulk")
    monkeypatch.undo()
    assert current() == before


def test_a_variable_that_is_to_be_json_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for text, said in (("{", "not JSON"), ("AES256", "not JSON"), ('["a"]', "dictionary")):
        monkeypatch.setenv("REFOLD_STORE_ENCRYPTION", text)
        with pytest.raises(UsageError, match=f"REFOLD_STORE_ENCRYPTION.*{said}"):
            current()
    monkeypatch.delenv("REFOLD_STORE_ENCRYPTION")
    with using(Settings(store_encryption={"archive": "AES256"})):
        assert for_workers() == {"REFOLD_STORE_ENCRYPTION": '{"archive": "AES256"}'}


def test_every_setting_is_in_the_table_of_the_docs_and_no_other() -> None:
    rows = re.findall(r"^\| `(REFOLD_\w+)` \| (.+) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    fields = Settings.model_fields.items()
    assert dict(rows) == {f"REFOLD_{name.upper()}": one.description for name, one in fields}


def test_what_a_run_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = WorkerSlots(count=1, cpus=1, gpus=0)
    monkeypatch.setenv("REFOLD_PHOTOS_AT_ONCE", "5")
    monkeypatch.setenv("REFOLD_ENCODERS", "2")
    assert photos_at_once(slots) == 5
    assert for_workers() == {}, "nodes have environments of their own"
    with using(Settings(photos_at_once=3, weights=Path("elsewhere"))):
        assert photos_at_once(slots) == 3
        assert current().encoders == 2
        assert for_workers() == {
            "REFOLD_PHOTOS_AT_ONCE": "3",
            "REFOLD_WEIGHTS": "elsewhere",
        }
    assert photos_at_once(slots) == 5


@pytest.mark.parametrize("flow", [archive, backfill, restore, retire, scrub])
def test_a_deployment_sets_them_for_one_run(flow: Any) -> None:
    asked: dict[str, Any] = {"archive": "a", "source": "s", "dest": "d"}
    named: Callable[..., Any] = flow.fn
    given = {name: url for name, url in asked.items() if name in named.__annotations__}
    made = flow.validate_parameters({**given, "settings": {"workers": 4, "encoders": "1"}})
    assert made["settings"] == Settings(workers=4, encoders=1)
    with pytest.raises(Exception, match="workers"):
        flow.validate_parameters({**given, "settings": {"workers": 0}})
