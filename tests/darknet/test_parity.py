"""Networks and their training against numbers that darknet itself made."""

from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.darknet.networks import relative_error, slow_outputs
from tests.losses.test_darknet_parity import relative_targets
from tests.reference.darknet_layout import to_blocks
from tests.reference.golden import golden_npz, golden_path
from yolo.darknet.load import load_darknet
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.losses.yolo_loss import YoloLoss

GOLDEN = ("tiny_like", "yolov1_like", "micro")


def golden_network(name: str, *, cfg: str | None = None, batch_norm: Literal["standard", "darknet"]) -> DarknetNetwork:
    text = golden_path(cfg or f"{name}.cfg").read_text()
    return load_darknet(golden_path(f"{name}.weights"), DarknetSpec(cfg=text, batch_norm=batch_norm))[0]


@pytest.mark.parametrize("name", GOLDEN)
def test_outputs_equal_darknets(name: str) -> None:
    golden = golden_npz(f"{name}_inference.npz")
    network = golden_network(name, batch_norm="standard")
    images = torch.from_numpy(golden["input"])
    with torch.no_grad():
        raw = network(images if images.ndim == 4 else images[None])
    assert network.grid is not None
    flat = to_blocks(network.grid, raw).numpy()
    assert np.abs(flat - golden["output"].reshape(flat.shape)).max() < 1e-5


@pytest.mark.parametrize("name", GOLDEN[:2])
def test_the_output_of_every_layer_equals_darknets(name: str) -> None:
    golden = golden_npz(f"{name}_layers.npz")
    network = golden_network(name, batch_norm="standard")
    values, compared = torch.from_numpy(golden["input"])[None], 0
    with torch.no_grad():
        for record, layer in zip(network.spec.plan.layers, network.layers, strict=True):
            values = layer(values)
            key = f"layer{record.index:02d}_{record.kind}"
            if key in golden:
                assert relative_error(values[0].reshape(golden[key].shape), golden[key]) < 1e-5, key
                compared += 1
    assert compared == len(golden) - 1


@pytest.mark.parametrize("name", GOLDEN[:2])
def test_the_slow_layers_equal_darknets(name: str) -> None:
    golden = golden_npz(f"{name}_layers.npz")
    network = golden_network(name, batch_norm="standard")
    outputs = slow_outputs(network, torch.from_numpy(golden["input"])[None])
    for record, output in zip(network.spec.plan.layers, outputs, strict=True):
        expected = golden.get(f"layer{record.index:02d}_{record.kind}")
        if expected is not None:
            assert relative_error(torch.from_numpy(output).reshape(expected.shape), expected) < 1e-5


class TwoUpdates:
    """Two updates of two sub-batches each, as darknet makes them, with what it recorded."""

    def __init__(self, batch_norm: Literal["standard", "darknet"]) -> None:
        self.golden = golden_npz("tiny_like_train_step.npz")
        self.network = golden_network("tiny_like", cfg="tiny_like_train.cfg", batch_norm=batch_norm).train()
        self.batch = int(self.golden["batch"] * self.golden["subdivisions"])  # darknet counts a sub-batch as batch
        self.costs: list[float] = []
        self.outputs: list[Any] = []
        self.deltas: list[Any] = []
        self.states = [self._state()]
        self._optimizer = torch.optim.SGD(self._groups(), lr=0.0, momentum=float(self.golden["momentum"]))
        for call in range(4):
            self._call(call)
            if call % 2:
                self._update(float(self.golden["rate_after"][call]))

    def _groups(self) -> list[dict[str, Any]]:
        named = list(self.network.named_parameters())
        decay = float(self.golden["decay"])
        return [
            {"params": [p for name, p in named if name.endswith("weights")], "weight_decay": decay},
            {"params": [p for name, p in named if not name.endswith("weights")], "weight_decay": 0.0},
        ]

    def _state(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

    def _call(self, call: int) -> None:
        grid = self.network.grid
        assert grid is not None
        raw = self.network(torch.from_numpy(self.golden["input_u8"][call]))
        raw.retain_grad()
        rows = self.golden["gt"]
        rows = rows[rows[:, 0] == call][:, 1:]
        loss, count = YoloLoss(), len(raw)
        terms = loss(grid, raw, relative_targets(rows, count), (1, 1))
        (terms.total * count / self.batch).backward()
        self.costs.append(loss.darknet_cost(terms, count).item())
        self.outputs.append(to_blocks(grid, raw.detach()).numpy())
        self.deltas.append(-to_blocks(grid, raw.grad).numpy() * self.batch)

    def _update(self, rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.states.append(self._state())

    def darknets_states(self) -> list[dict[str, Tensor]]:
        spec = self.network.spec
        files = ("tiny_like", "tiny_like_step1", "tiny_like_step2")
        return [load_darknet(golden_path(f"{name}.weights"), spec)[0].state_dict() for name in files]


def test_two_training_steps_equal_darknets() -> None:
    steps = TwoUpdates("darknet")
    golden = steps.golden
    assert steps.costs == pytest.approx(golden["cost"].tolist(), rel=1e-5)
    for mine, key in ((steps.outputs, "output"), (steps.deltas, "delta")):
        for own, its in zip(mine, golden[key], strict=True):
            assert np.abs(own - its).max() < 1e-5 * max(1, np.abs(its).max())
    for state, expected in zip(steps.states, steps.darknets_states(), strict=True):
        assert state.keys() == expected.keys()
        for name, tensor in state.items():
            assert (tensor - expected[name]).abs().max() < 1e-5, name
    moved = (steps.states[2]["layers.9.weights"] - steps.states[0]["layers.9.weights"]).abs().max()
    assert moved > 1e-3  # a hundred times the tolerance


def test_with_the_standard_batch_norm_two_training_steps_are_near_darknets() -> None:
    steps = TwoUpdates("standard")
    assert steps.costs == pytest.approx(steps.golden["cost"].tolist(), rel=0.005)
    mine, its = (
        [
            torch.cat([(after[name] - before[name]).flatten() for name, _ in steps.network.named_parameters()])
            for before, after in pairwise(states)
        ]
        for states in (steps.states, steps.darknets_states())
    )
    for own, other in zip(mine, its, strict=True):
        assert torch.cosine_similarity(own.double(), other.double(), dim=0) >= 0.9995
