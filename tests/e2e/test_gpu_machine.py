"""Rehearsal of training on a lent machine, on the CPU: what comes back is enough to go on."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from rescaling_core import zoo
from tests.command import REPOSITORY
from tests.tiny_training import recipe, write_smooth_pictures


@pytest.mark.slow
def test_the_script_trains_and_goes_on_where_another_machine_was_taken_back(tmp_path):
    write_smooth_pictures(tmp_path / "photos", (96, 80))
    pack = ["infra/gpu/pack.py", tmp_path / "photos", tmp_path / "packed", "--megabytes", "1"]
    packed = subprocess.run([sys.executable, *pack], cwd=REPOSITORY, capture_output=True, text=True)
    assert packed.stdout == "3 of 3 photographs\n", packed.stderr
    (tmp_path / "tiny.toml").write_text(recipe(steps=2, checkpoint=1, validation=2))

    assert done_after(tmp_path, steps=2) == 2
    shutil.rmtree(tmp_path / "runs")  # another machine
    assert done_after(tmp_path, steps=4) == 4
    assert zoo.load(tmp_path / "runs" / "tiny" / "tiny.safetensors").card.id == "tiny"


def done_after(folder, *, steps):
    """The steps behind the checkpoint that came back."""
    queue = folder / "queue.toml"
    queue.write_text(
        f'data = "{folder}/packed"\nout = "{folder}/runs"\n'
        f'[[runs]]\nrecipe = "{folder}/tiny.toml"\nsteps = {steps}\n'
    )
    script = [REPOSITORY / "infra" / "gpu" / "train.sh", queue, folder / "state", "5"]
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(script, capture_output=True, text=True, env=environment, timeout=300)
    assert ran.returncode == 0, ran.stderr
    back = folder / "back"
    shutil.rmtree(back, ignore_errors=True)
    back.mkdir()
    parts = sorted((folder / "state").glob("tiny.tar.part-*"))
    assert all(part.stat().st_size <= 15 * 2**20 for part in parts)
    whole = b"".join(part.read_bytes() for part in parts)
    subprocess.run(["tar", "-x", "-C", back], input=whole, check=True)
    return torch.load(back / "tiny" / "checkpoint.pt", weights_only=True)["done"]
