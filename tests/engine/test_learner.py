import math

import pytest
import torch
from torch import nn

from yolo.engine.learner import MovingAverage


def test_the_average_by_hand() -> None:
    network = nn.BatchNorm1d(1)
    average = MovingAverage(network, 0.9)
    nn.init.constant_(network.weight, 3.0)  # from 1
    assert network.num_batches_tracked is not None
    network.num_batches_tracked.fill_(7)
    average.update()
    decay = 0.9 * (1 - math.exp(-1 / 200))  # hardly any memory after the first step
    assert average.network.weight.item() == pytest.approx(decay * 1 + (1 - decay) * 3)
    assert average.network.num_batches_tracked is not None
    assert average.network.num_batches_tracked.item() == 7
    assert network.weight.item() == 3


def test_without_decay_the_average_is_a_copy() -> None:
    network = nn.Linear(2, 2)
    average = MovingAverage(network, 0.0)
    nn.init.normal_(network.weight)
    average.update()
    assert torch.equal(average.network.weight, network.weight)
    assert not average.network.weight.requires_grad


def test_healing_replaces_what_is_not_finite_and_nothing_else() -> None:
    network = nn.BatchNorm1d(2)
    average = MovingAverage(network, 0.9)
    assert network.running_mean is not None
    assert network.running_var is not None
    network.running_mean.fill_(torch.nan)
    network.running_var.fill_(5.0)
    average.heal_buffers()
    assert network.running_mean.tolist() == [0, 0]
    assert network.running_var.tolist() == [5, 5]
