"""Runs that nothing happened to, for the disturbed ones to be held against."""

from __future__ import annotations

import os

import pytest

from tests.command import Refold, RefoldHere
from tests.faults.undisturbed import Undisturbed, undisturbed_run
from tests.once import once_a_run

ALL_FAULTS = os.environ.get("REFOLD_ALL_FAULTS") == "1"
"""`make faults` runs them all; CI a handful."""


@pytest.fixture(scope="session")
def refold(refold: Refold) -> Refold:
    """The command, on Ray however small the run is: what befalls its workers is the subject."""
    return refold.within({"REFOLD_SMALL_RUN": "0"})


@pytest.fixture(scope="session")
def without_ray(refold: Refold) -> Refold:
    """The command, for what does not befall workers: they are a few processes."""
    return refold.within({"REFOLD_SMALL_RUN": "64"})


@pytest.fixture(scope="session")
def fourteen(
    tmp_path_factory: pytest.TempPathFactory, refold: Refold, all_here: RefoldHere
) -> Undisturbed:
    """Fourteen photographs and a broken one, two targets."""
    return once_a_run(
        tmp_path_factory, "fourteen", lambda folder: undisturbed_run(refold, all_here, folder, 14)
    )


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Undisturbed:
    """Sixty photographs and a broken one, two targets; in CI the fourteen."""
    if not ALL_FAULTS:
        fourteen: Undisturbed = request.getfixturevalue("fourteen")
        return fourteen
    refold: Refold = request.getfixturevalue("refold")
    all_here: RefoldHere = request.getfixturevalue("all_here")
    return once_a_run(
        tmp_path_factory, "sixty", lambda folder: undisturbed_run(refold, all_here, folder, 60)
    )
