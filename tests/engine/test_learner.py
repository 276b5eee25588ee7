import math

import pytest
import torch
from torch import nn

from yolo.config import OptimizerConfig, TrainConfig
from yolo.engine.learner import Learner, MovingAverage, make_fabric, make_loss, make_optimizer
from yolo.errors import ConfigError
from yolo.grid import GridSpec
from yolo.models.network import GridNetwork, NetworkSpec
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


def test_a_detector_is_not_forgotten_at_once() -> None:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 0.0)
    average = MovingAverage(network, 0.998)
    average.start_warm()
    nn.init.constant_(network.weight, 1.0)
    for _ in range(10):
        average.update()
    assert 0.05 < average.network.weight.item() < 0.12
    for _ in range(490):
        average.update()
    assert average.network.weight.item() > 0.8


def test_without_decay_the_average_is_a_copy() -> None:
    network = nn.Linear(2, 2)
    average = MovingAverage(network, 0.0)
    nn.init.normal_(network.weight)
    average.update()
    assert torch.equal(average.network.weight, network.weight)
    assert not average.network.weight.requires_grad


def test_what_is_frozen_keeps_every_bit_in_the_average() -> None:
    network = nn.Linear(1, 2)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[-0.0], [1.0]]))
    average = MovingAverage(network, 0.5, frozen={"weight"})
    with torch.no_grad():
        network.bias.add_(1)
    average.update()
    assert average.network.weight.signbit().tolist() == [[True], [False]]
    assert torch.equal(average.network.weight, network.weight)
    assert not torch.equal(average.network.bias, network.bias)


def grid_network() -> GridNetwork:
    return GridNetwork(NetworkSpec(backbone="shufflenet_v2_x0_5", num_classes=1))


def rates_of(network: GridNetwork, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Learning rate by parameter."""
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    return {name: rates[id(parameter)] for name, parameter in network.named_parameters() if id(parameter) in rates}


def test_without_factors_there_are_two_groups_of_one_rate() -> None:
    optimizer = make_optimizer(grid_network(), OptimizerConfig(lr=0.1), fused=False)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.1]
    assert [group["weight_decay"] > 0 for group in optimizer.param_groups] == [True, False]


def test_factors_of_the_learning_rate_go_by_part_and_the_last_counts() -> None:
    network = grid_network()
    network.head.requires_grad_(False)
    network.head.predict.requires_grad_(True)
    factors = {"backbone": 0.5, "stage2": 0.1, "head.predict.bias": 3.0}
    optimizer = make_optimizer(network, OptimizerConfig(lr=1.0, lr_factors=factors), fused=False)
    rates = rates_of(network, optimizer)
    for name, rate in rates.items():
        is_early = name.startswith(("backbone.body.conv1.", "backbone.body.stage2."))
        expected = 0.1 if is_early else 0.5 if name.startswith("backbone.") else 3.0 if name.endswith("t.bias") else 1.0
        assert rate == expected, name
    assert set(rates.values()) == {0.1, 0.5, 1.0, 3.0}
    assert optimizer.param_groups[0]["lr"] == 3.0
    with pytest.raises(ConfigError, match=r"optimizer\.lr_factors: 'stage9' matches nothing"):
        make_optimizer(network, OptimizerConfig(lr_factors={"stage9": 0.1}), fused=False)


def test_the_schedule_moves_every_group_by_its_factor() -> None:
    optimizer = OptimizerConfig(lr=0.4, lr_factors={"backbone": 0.25})
    config = TrainConfig(data="d", freeze="", input_size=64, device="cpu", optimizer=optimizer)
    learner = Learner(grid_network(), config, make_fabric(config), (64, 64))
    learner.set_lr(0.5)
    assert learner.lr == 0.2
    assert {group["lr"] for group in learner.optimizer.param_groups} == {0.2, 0.05}
    # a state of a version that had no factors
    state = learner.state_dict()
    for group in state["optimizer"]["param_groups"]:
        del group["lr_factor"]
    learner.load_state_dict(state)
    learner.set_lr(1.0)
    assert {group["lr"] for group in learner.optimizer.param_groups} == {0.4, 0.1}


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
