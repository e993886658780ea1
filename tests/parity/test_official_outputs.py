"""Our networks against what the official code computed: every fixture, none skipped."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import torch
from safetensors.torch import save_file

from tests.parity import bijections, others
from tests.parity.recorded import Recorded

KEPT: Final = Path(__file__).parent / "fixtures"
"""What the project carries: small ones only."""
SHARED: Final = Path(__file__).parents[3] / "shared" / "fixtures"

CHECKS: Final[dict[str, Callable[[Recorded], None]]] = {
    "IRN": bijections.check_irn,
    "IRN-Color": bijections.check_irn_color,
    "IRN-CRM": bijections.check_irn_crm,
    "SAIN": bijections.check_sain,
    "TIRN_2": bijections.check_tirn,
    "FIRN": bijections.check_firn,
    "AIDN": others.check_aidn,
    "HCD": others.check_hcd,
    "SAIN DiffJPEG": others.check_sain_jpeg,
    "AIDN DiffJPEG": others.check_aidn_jpeg,
    "quantizer": others.check_quantiser,
    "bicubic": others.check_bicubic,
    "metrics": others.check_metrics,
}


def _folder() -> Path:
    if chosen := os.environ.get("REFOLD_PARITY_FIXTURES"):
        return Path(chosen)
    return SHARED if SHARED.is_dir() else KEPT


FOLDER: Final = _folder()
FIXTURES: Final = sorted(FOLDER.rglob("*.safetensors"))


def test_there_are_fixtures() -> None:
    assert FIXTURES, f"no fixture under {FOLDER}"


def check(path: Path) -> Recorded:
    """Compare one fixture; a system nobody knows is a failure."""
    recorded = Recorded(path)
    assert recorded.system in CHECKS, f"{path.name}: unknown system {recorded.system!r}"
    CHECKS[recorded.system](recorded)
    return recorded


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_recorded_output_is_matched(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = check(path)
    worst = max(recorded.deviations, key=lambda deviation: deviation.error / deviation.tolerance)
    with capsys.disabled():
        print(
            f"\n{path.relative_to(FOLDER)}: {len(recorded.deviations)} outputs, nearest to its "
            f"tolerance {worst.name}: {worst.error:.1e} of {worst.tolerance:.0e}",
            end="",
        )
    beyond = [deviation for deviation in recorded.deviations if deviation.exceeds]
    assert not beyond
    assert not recorded.unused, "recorded, but not compared"


def test_a_fixture_of_an_unknown_system_fails(tmp_path: Path) -> None:
    path = tmp_path / "new.safetensors"
    save_file({"io.x": torch.zeros(1)}, path)
    path.with_suffix(".json").write_text('{"system": "a network of next year"}')
    with pytest.raises(AssertionError, match="unknown system"):
        check(path)
