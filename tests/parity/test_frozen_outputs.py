"""What matched the official recordings once is still computed."""

from __future__ import annotations

import json

import pytest

from rescaling_core.networks import FAMILIES
from tests.parity.frozen import CASES, STORED, outputs

FROZEN = json.loads(STORED.read_text())


@pytest.mark.parametrize("case", CASES)
def test_outputs_stay_what_they_were(case: str) -> None:
    found = outputs(case)
    assert found.keys() == FROZEN[case].keys()
    for name, values in found.items():
        assert values == pytest.approx(FROZEN[case][name], abs=2e-5), name


def test_every_family_is_frozen() -> None:
    assert {family for family, _, _ in CASES.values()} == set(FAMILIES)
