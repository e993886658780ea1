"""Every family trained for 20 steps, killed on the way, and continued from what lies on disk."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from rescaling_core.training.recipe import Cadence
from rescaling_core.training.trainer import Trainer, new_rescaler
from tasks.jobs.train.folder import RunFolder
from tasks.jobs.train.run import run_training
from tests.unit.rescaling_core.training.families import STEPS, TINY, tiny_recipe, training_images

KILLED_AFTER = 13
"""Three steps after the last checkpoint: they are done again."""


@pytest.mark.slow
@pytest.mark.parametrize("family", TINY)
def test_a_killed_run_that_is_continued_repeats_the_undisturbed_one(family, tmp_path):
    recipe = replace(tiny_recipe(family), cadence=Cadence(checkpoint=5, validation=STEPS))
    images = training_images()

    def train(name, **options):
        trainer = Trainer(recipe, new_rescaler(recipe), images)
        folder = RunFolder(tmp_path / name)
        run_training(trainer, folder, images[:1], **options)
        return trainer, [(record["step"], record["loss"]) for record in folder.records()]

    def die(report, _quality):
        if report.step == KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        train("killed", resume=False, listener=die)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert len(RunFolder(tmp_path / "killed").records()) == KILLED_AFTER

    whole, losses = train("whole", resume=False)
    continued, again = train("killed", resume=True)
    assert [step for step, _ in losses] == list(range(1, STEPS + 1))
    assert np.isfinite([loss for _, loss in losses]).all()
    assert again == losses
    other = continued.averaged().state_dict()
    for name, tensor in whole.averaged().state_dict().items():
        assert torch.equal(tensor, other[name]), name
