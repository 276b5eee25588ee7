"""What learns: a network, the moving average of its weights, its optimiser and its loss.

Devices, precision and gradient scaling are Fabric's. The learning rate and the rule of assignment are decided by the
training loop and passed in.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from yolo.config import OptimizerConfig, TrainConfig
from yolo.engine.environment import choose_device, choose_precision
from yolo.losses.assignment import PredictorRule
from yolo.losses.yolo_loss import TERM_NAMES, YoloLoss
from yolo.models.freezing import find_part, freeze
from yolo.models.fusion import fuse
from yolo.models.network import Network, can_train_on_one_image
from yolo.structures import Batch

# The average forgets the first random weights faster than later ones: the decay rises over this many steps.
_RISE_STEPS = 200
# A detector to start from is as good as that many steps: it is forgotten over some hundred at first. A short training
# can leave it behind, and the statistics of its first few batches do not replace those of the detector.
_WARM_START_STEPS = 1000
_FABRIC_PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


class Learner:
    """A network in training.

    Args:
        network: on the CPU; it is moved to the device.
        config: of the training.
        fabric: from `make_fabric`.
        input_hw: height and width of the network's input.

    Attributes:
        network: what learns.
        average: the moving average of its weights, which is validated and saved.
        frozen: what of the network does not learn.
        device: where both are.
        smallest_batch: images that a step needs, see `can_train_on_one_image`.
        grad_norm: norm of the gradient of the last step, before clipping; NaN before the first one.
    """

    def __init__(self, network: Network, config: TrainConfig, fabric: Fabric, input_hw: tuple[int, int]) -> None:
        self.device = fabric.device
        self.input_hw = input_hw
        self.grid = network.spec.grid(input_hw)
        self.smallest_batch = 1 if can_train_on_one_image(network, input_hw) else 2
        self.loss = make_loss(config)
        self._config = config
        self._fabric = fabric
        # fp16's scaler finds steps that are not finite by itself
        self._scales_gradients = fabric.strategy.precision.precision == "16-mixed"
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.frozen = freeze(self.network, str(config.freeze))
        # torch's fused update does the scaler's work too, and then refuses to clip
        is_fused = self.device.type in ("cpu", "cuda") and not self._scales_gradients
        optimizer = make_optimizer(self.network, config.optimizer, fused=is_fused)
        # kept apart: a saved state of earlier versions, whose groups replace these, does not have them
        self._lr_factors = [group["lr_factor"] for group in optimizer.param_groups]
        self.model, self.optimizer = fabric.setup(self.network, optimizer)
        self.average = MovingAverage(self.network, config.optimizer.ema, frozen=self.frozen.tensors)
        self.grad_norm = math.nan

    @property
    def lr(self) -> float:
        """The learning rate of the last step, of the group with the highest."""
        return float(self.optimizer.param_groups[0]["lr"])

    def lr_at(self, factor: float) -> float:
        """What `lr` is at a share of the peak."""
        return float(self._config.optimizer.peak_lr * factor * self._lr_factors[0])

    def set_lr(self, factor: float) -> None:
        """Set the learning rate to a share of the peak, times the factor of each group of layers."""
        for group, own_factor in zip(self.optimizer.param_groups, self._lr_factors, strict=True):
            group["lr"] = self._config.optimizer.peak_lr * factor * own_factor

    def train_mode(self) -> None:
        """Let batch norms use and follow the images, frozen ones excepted."""
        self.model.train()
        for norm in self.frozen.norms:
            norm.eval()

    def learn(self, batch: Batch, *, random_predictors: bool) -> dict[str, float]:
        """Forward, loss and backward of a batch, in as many parts as configured; gradients add up.

        Args:
            batch: on the device, of at least `smallest_batch` images.
            random_predictors: draw the responsible predictors, as darknet does for the first images of some trainings.

        Returns:
            The loss terms by name, means over the images.
        """
        loss = replace(self.loss, rule="random") if random_predictors else self.loss
        values = torch.zeros(len(TERM_NAMES), device=self.device)
        for part in batch.split(self._config.subdivisions, smallest=self.smallest_batch):
            terms = loss(self.grid, self.model(part.images), part.targets, self.input_hw)
            share = len(part) / len(batch)
            self._fabric.backward(terms.total * share)
            values += terms.to_tensor() * share
        return dict(zip(TERM_NAMES, values.tolist(), strict=True))  # the one wait for the device before the update

    def update(self) -> bool:
        """One step of the optimiser and of the average; False, and no step, if the gradient is not finite."""
        # without a limit the norm is only measured
        limit = self._config.optimizer.clip_norm or math.inf
        norm = self._fabric.clip_gradients(self.model, self.optimizer, max_norm=limit, error_if_nonfinite=False)
        self.grad_norm = math.nan if norm is None else float(norm)
        # fp16's scaler expects such gradients now and then, and leaves out the step by itself
        if not self._scales_gradients and norm is not None and not math.isfinite(self.grad_norm):
            return False
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update()
        return True

    def discard(self) -> None:
        """Forget the gradients of a step that is not finite, and what it did to the batch norms."""
        self.optimizer.zero_grad(set_to_none=True)
        self.average.restore_nonfinite_buffers()

    def fused_average(self) -> nn.Module:
        """The average for inference, to the last bit what `val` makes of it as a file: fused on the CPU."""
        network = self.average.network
        on_cpu = network if self.device.type == "cpu" else copy.deepcopy(network).cpu()
        return fuse(on_cpu, device=self.device)

    def state_dict(self) -> dict[str, Any]:
        """Everything that later steps depend on, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "average_steps": self.average.steps,
            "optimizer": self.optimizer.state_dict(),
            "precision": self._fabric.strategy.precision.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`; other keys are left alone."""
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.steps = state["average_steps"]
        self.optimizer.load_state_dict(state["optimizer"])
        self._fabric.strategy.precision.load_state_dict(state["precision"])
        torch.set_rng_state(state["torch_rng"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["cuda_rng"])


def make_fabric(config: TrainConfig) -> Fabric:
    """The device and the precision of a configuration; ConfigError where this machine lacks them."""
    device = choose_device(config.device)
    backbone = "" if config.cfg else config.backbone
    # Fabric announces its settings at level INFO; the run folder has them
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    return Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision=cast(Any, _FABRIC_PRECISIONS[choose_precision(config.precision, device, backbone=backbone)]),
    )


def make_loss(config: TrainConfig) -> YoloLoss:
    """The loss of a configuration, after the images for which the predictor is drawn at random."""
    names = {field.name for field in fields(YoloLoss)} - {"rule", "cells_per_object"}
    same = {name: getattr(config.loss, name) for name in names}
    rule: PredictorRule = "forced" if config.loss.forced else "best"
    return YoloLoss(**same, rule=rule, cells_per_object=config.cells_per_object)


def make_optimizer(network: nn.Module, config: OptimizerConfig, *, fused: bool) -> torch.optim.Optimizer:
    """AdamW or SGD with weight decay on matrices only.

    With nesterov=False and a loss divided by the number of images, SGD is darknet's update.

    Args:
        network: whose parameters that require gradients are updated.
        config: the update rule, the peak learning rate and its factors.
        fused: whether torch updates all tensors in one kernel; for AdamW only, on the CPU and on CUDA.

    Returns:
        An optimiser whose groups say under `lr_factor` what their learning rate is multiplied by; the first has the
        largest.

    Raises:
        ConfigError: a factor of the learning rate for a part that the network does not have.
    """
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    # the biases of a local layer have three axes, but are biases
    matrices = {name for name, parameter in named if parameter.ndim > 1 and not name.endswith("biases")}
    factors = {name: 1.0 for name, _ in named} | _lr_factors(network, config.lr_factors)
    groups: list[dict[str, Any]] = []
    for factor in sorted({factors[name] for name, _ in named}, reverse=True):
        own = [(name, parameter) for name, parameter in named if factors[name] == factor]
        for decay, params in (
            (config.weight_decay, [p for name, p in own if name in matrices]),
            (0.0, [p for name, p in own if name not in matrices]),
        ):
            groups.append({"params": params, "weight_decay": decay, "lr_factor": factor, "lr": config.peak_lr * factor})
    if config.name == "sgd":
        nesterov = config.nesterov and config.momentum > 0
        return torch.optim.SGD(groups, lr=config.peak_lr, momentum=config.momentum, nesterov=nesterov)
    return torch.optim.AdamW(groups, lr=config.peak_lr, fused=fused)


def _lr_factors(network: nn.Module, by_selector: Mapping[str, float]) -> dict[str, float]:
    """Factor of the learning rate by parameter; where several selectors name one, the last counts."""
    factors: dict[str, float] = {}
    for selector, factor in by_selector.items():
        part = find_part(network, selector, option="optimizer.lr_factors")
        factors |= dict.fromkeys(part.parameters, factor)
    return factors


Module = TypeVar("Module", bound=nn.Module)


class MovingAverage(Generic[Module]):
    """Exponential moving average of all floating-point tensors of a network, which must stay on its device.

    Args:
        network: to follow.
        decay: of a step, in [0, 1); 0 makes the average a copy of the latest weights.
        frozen: names of tensors that do not change. They are left out: averaged with itself, -0.0 would become 0.0.
    """

    def __init__(self, network: Module, decay: float, *, frozen: Collection[str] = ()) -> None:
        self.network = copy.deepcopy(network)
        self.network.eval().requires_grad_(False)
        self.decay = decay
        self.steps = 0
        # the tensors stay the same objects while their values change: list them once
        pairs = list(zip(_tensors(self.network, frozen), _tensors(network, frozen), strict=True))
        self._own = [own for own, _ in pairs if own.is_floating_point()]
        self._new = [new for own, new in pairs if own.is_floating_point()]
        self._counters = [(own, new) for own, new in pairs if not own.is_floating_point()]

    def start_warm(self) -> None:
        """Do not forget the first weights at once, because they are those of a trained detector."""
        self.steps = _WARM_START_STEPS

    @torch.no_grad()
    def update(self) -> None:
        """Add the network's weights after a step."""
        self.steps += 1
        decay = self.decay * (1 - math.exp(-self.steps / _RISE_STEPS))
        torch._foreach_lerp_(self._own, self._new, 1 - decay)
        for own, new in self._counters:
            own.copy_(new)

    @torch.no_grad()
    def restore_nonfinite_buffers(self) -> None:
        """Give the network the average's statistics where its own are not finite.

        A forward pass that overflows writes into the running statistics of batch norms even if its step is refused.
        """
        for own, new in zip(self._own, self._new, strict=True):
            if not bool(new.isfinite().all()):
                new.copy_(own)


def _tensors(network: nn.Module, without: Collection[str]) -> list[Tensor]:
    named = [*network.named_parameters(), *network.named_buffers()]
    return [tensor for name, tensor in named if name not in without]
