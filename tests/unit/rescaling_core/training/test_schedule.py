import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rescaling_core.training.recipe import Optimisation
from rescaling_core.training.schedule import Average, learning_rate


def plan(**changes):
    values = {"steps": 100, "learning_rate": 1.0, "final_learning_rate": 0.01, "warmup": 10}
    return Optimisation(**(values | changes))


def test_the_learning_rate_rises_stays_and_falls_to_its_end():
    rates = [learning_rate(step, plan(decay=0.4)) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:61] == pytest.approx([1.0] * 52)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[60:]))
    assert learning_rate(100, plan(decay=0.4)) == pytest.approx(0.01)


@given(st.integers(0, 59), st.integers(100, 10_000))
def test_a_run_on_its_plateau_may_be_given_more_steps(step, steps):
    assert learning_rate(step, plan(decay=0.4)) == learning_rate(step, plan(decay=0.4, steps=steps))


@given(st.integers(0, 300), st.floats(0.01, 1), st.integers(0, 50))
def test_the_learning_rate_never_leaves_its_range(step, decay, warmup):
    assert 0 < learning_rate(step, plan(decay=decay, warmup=warmup)) <= 1.0


def test_the_average_follows_the_weights_and_counts_batches_exactly():
    network = torch.nn.BatchNorm2d(2)
    average = Average(network, decay=0.9)
    network.num_batches_tracked += 3
    with torch.no_grad():
        network.weight += 1
    average.update(network, step=10_000)
    assert torch.allclose(average.tensors["weight"], torch.full((2,), 1.1))
    assert average.tensors["num_batches_tracked"] == 3


def test_early_weights_are_forgotten_fast():
    network = torch.nn.Linear(1, 1)
    average = Average(network, decay=0.999)
    with torch.no_grad():
        network.weight.fill_(5.0)
    for step in range(20):
        average.update(network, step)
    assert average.tensors["weight"].item() == pytest.approx(5.0, abs=0.05)
