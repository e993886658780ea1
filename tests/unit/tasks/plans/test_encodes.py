"""How many files each preset makes of a photo, which is nearly all that its run costs."""

from __future__ import annotations

from typing import Final

import pytest

from rescaling_core.plan import Floor
from tasks.plans.presets import PRESETS
from tasks.plans.toml import read_plan
from tests.unit.encodes import PICTURES, counted

pytestmark = pytest.mark.usefixtures("one_thread")

MOST: Final = {
    "balanced": (15, 2, 12),
    "smallest": (7, 2, 7),
    "viewable": (7, 2, 7),
    "faithful": (13, 2, 16),
    "lossless": (3, 0, 0),
}
"""Files of full size at the plan's effort, of smaller images, and in haste, of one photo: about one
more than the hardest of the three pictures takes. One search by halving takes seven for each
candidate: up to 49 for `faithful`."""


@pytest.mark.parametrize(
    ("preset", "picture"),
    [
        (preset, picture)
        for preset in MOST
        for picture in ("astronaut", "cat")
        if (preset, picture) != ("smallest", "cat")
    ],
)
def test_a_preset_pays_for_few_files(preset: str, picture: str) -> None:
    floor = None if preset == "lossless" else Floor(psnr_y=34)
    plan = read_plan(PRESETS[preset], name=preset, floor=floor, as_installed=True)
    _, made = counted(PICTURES[picture], plan.targets[0])
    found = [sum(files.values()) for files in (made.whole, made.smaller, made.hasty)]
    assert sum(found) > 0
    assert all(one <= most for one, most in zip(found, MOST[preset], strict=True)), made


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preview_is_encoded_once(preset: str) -> None:
    for target in read_plan(PRESETS[preset], name=preset, as_installed=True).targets:
        if target.target.long_edge is not None:
            _, made = counted(PICTURES["coffee"], target)
            assert (made.whole + made.smaller).total() == 1
            assert not made.hasty


def test_every_preset_is_held_to_a_number_of_files() -> None:
    previews_alone = {"thumbnails"}
    assert MOST.keys() | previews_alone == PRESETS.keys()
