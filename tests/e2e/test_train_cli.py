"""`refold train` as a user runs it: killed, continued, refused."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from rescaling_core import zoo
from rescaling_core.zoo import restorers
from tests.command import RefoldHere
from tests.tiny_training import recipe, write_smooth_pictures

REFOLD = (sys.executable, "-m", "flows.cli")

pytestmark = pytest.mark.slow


@pytest.fixture
def workplace(tmp_path, prefect_server, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)  # one of its own takes ten CPU seconds
    write_smooth_pictures(tmp_path / "images", (112, 104))
    (tmp_path / "tiny.toml").write_text(recipe(steps=20, checkpoint=4, validation=10))
    return tmp_path


def start(workplace, *arguments):
    """In a process of its own, which may be killed or change what is the process's."""
    return subprocess.Popen(
        (*REFOLD, "train", *arguments),
        cwd=workplace,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def refold(workplace, *arguments):
    return RefoldHere({}, workplace)("train", *arguments)


def losses(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [(record["step"], record["loss"]) for record in map(json.loads, lines)]


def test_a_killed_run_that_is_continued_repeats_the_undisturbed_one(workplace):
    common = ("--config", "tiny.toml", "--data", "images")
    whole = refold(workplace, *common, "--out", "whole", "--json")
    assert whole.code == 0, whole.err
    result = json.loads(whole.out)
    assert result["steps"] == 20

    process = start(workplace, *common, "--out", "killed", "--steps", "20")
    metrics = workplace / "killed" / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") >= 6)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(losses(workplace / "killed")) >= 6

    refused = refold(workplace, *common, "--out", "killed")
    assert refused.code == 2
    assert "--resume" in refused.err

    continued = refold(workplace, *common, "--out", "killed", "--resume")
    assert continued.code == 0, continued.err
    assert losses(workplace / "killed") == losses(workplace / "whole")
    one, two = (
        (workplace / folder / "tiny.safetensors").read_bytes() for folder in ("whole", "killed")
    )
    assert one == two
    card = zoo.load(workplace / "whole" / "tiny.safetensors").card
    assert card.training["iterations"] == 20
    assert (workplace / "whole" / "curve.png").stat().st_size > 0


RESTORER = """
kind = "restorer"
id = "tiny-restorer"
title = "Tiny"
network = { features = 4, pairs = 1, colours = false, errors = [[[10, 9], [90, 1]]] }
pictures = { codec = "jpeg-420", per_image = 2, measured = [20, 60] }
cadence = { checkpoint = 4, validation = 10 }
optimisation = { steps = 10, batch = 2, patch = 32, warmup = 2 }
"""


def test_a_restorer_is_trained_by_the_same_command(workplace):
    (workplace / "restorer.toml").write_text(RESTORER)
    common = ("--config", "restorer.toml", "--data", "images", "--out", "run")
    done = refold(workplace, *common, "--pairs", "pairs", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["steps"] == 10
    loaded = restorers.load(workplace / result["weights"])
    assert loaded.coding.codec == "jpeg-420"
    assert len(list((workplace / "pairs").glob("*.npy"))) == 2 * 2 + 2
    again = refold(workplace, *common, "--steps", "20", "--resume", "--pairs", "pairs", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["steps"] == 20
    refused = refold(workplace, *common, "--resume", "--workers", "2")
    assert refused.code == 2
    assert "a restorer is trained in one process" in refused.err


QUEUE = """
data = "images"
[[runs]]
recipe = "tiny.toml"
[[runs]]
recipe = "restorer.toml"
data = "empty"
[[runs]]
recipe = "restorer-avif-lite"
steps = STEPS
"""


def test_a_killed_queue_goes_on_where_it_was_and_one_bad_run_does_not_stop_it(workplace):
    """The last of its runs has no folder, as on a fresh clone: it continues the weights that ship.

    All but two of the steps asked for are behind these.
    """
    shipped_card = restorers.load("restorer-avif-lite").card
    steps = shipped_card.training["iterations"] + 2
    (workplace / "restorer.toml").write_text(RESTORER)
    (workplace / "empty").mkdir()
    (workplace / "queue.toml").write_text(QUEUE.replace("STEPS", str(steps)))
    process = start(workplace, "--queue", "queue.toml")
    metrics = workplace / "runs" / "tiny" / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") >= 6)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    again = start(workplace, "--queue", "queue.toml", "--json")
    out, _ = again.communicate(timeout=300)
    assert again.returncode == 1
    tiny, bad, shipped = json.loads(out)
    assert (tiny["state"], tiny["result"]["steps"]) == ("trained", 20)
    assert [step for step, _ in losses(workplace / "runs" / "tiny")] == list(range(1, 21))
    assert bad["state"] == "failed"
    assert "empty" in bad["reason"]
    assert (shipped["state"], shipped["result"]["steps"]) == ("trained", steps)
    ours = restorers.load(workplace / shipped["result"]["weights"]).network.state_dict()
    theirs = restorers.load("restorer-avif-lite").network.state_dict()
    changed = max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
    assert changed < 0.01  # two steps at the end of a schedule: from nothing they would be far


def wait_for(condition):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not condition():
        time.sleep(0.005)
    assert condition()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--config", "tiny.toml"), "--data"),
        ((), "--queue"),
        (("--queue", "queue.toml", "--data", "images"), "--queue"),
        (("--queue", "queue.toml"), "queue.toml: cannot be read"),
        (("--queue", "tiny.toml"), "tiny.toml: runs: "),
        (("--config", "missing.toml", "--data", "images"), "missing.toml"),
        (("--config", "tiny.toml", "--data", "nowhere"), "nowhere: no such folder"),
        (("--config", "tiny.toml", "--data", "images", "--start", "irn-x9"), "irn-x9"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(workplace, arguments, complaint):
    outcome = refold(workplace, *arguments)
    assert outcome.code == 2
    assert complaint in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
