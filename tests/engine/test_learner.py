import math

import pytest
import torch
from torch import nn

from yolo.config import TrainConfig
from yolo.engine.learner import MovingAverage, make_loss
from yolo.grid import GridSpec
from yolo.structures import GroundTruth, Targets


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
    average.restore_nonfinite_buffers()
    assert network.running_mean.tolist() == [0, 0]
    assert network.running_var.tolist() == [5, 5]


@pytest.mark.parametrize(("overlap", "is_ignored"), [(0.48, False), (0.52, True)])
def test_by_default_predictors_above_an_iou_of_one_half_are_ignored(overlap: float, is_ignored: bool) -> None:
    """Beside the responsible predictor, which fits, the cell has one that covers a share of the object."""
    loss, grid = make_loss(TrainConfig(data="d")), GridSpec(grid_size=1, boxes_per_cell=2, num_classes=1)
    raw = torch.full((1, 1, 1, grid.depth), -20.0)  # a confidence of 0 costs nothing
    parts = grid.split(raw)
    parts.offset_xy[:] = 0.0  # the middle of the image
    parts.size_wh[:] = torch.tensor(0.64).sqrt().logit()
    parts.size_wh[..., 1, :] = torch.tensor([0.64, 0.64 * overlap]).sqrt().logit()
    parts.confidence[..., 1] = 5.0
    wanted = Targets.from_ground_truths([GroundTruth.from_boxes([[0.18, 0.18, 0.82, 0.82]], [0])])
    cost = loss(grid, raw, wanted, (1, 1)).conf_noobj.item()
    assert (cost < 1e-6) == is_ignored
