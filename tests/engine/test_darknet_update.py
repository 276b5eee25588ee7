"""One update of the weights: darknet's numbers, and what the settings of a cfg do to it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from tests.darknet.networks import BODY, darknet_train_config, detector_cfg
from tests.engine.darknet_detectors import config_of, write_cfg
from tests.engine.shapes import draw_shapes
from tests.losses.test_darknet_parity import relative_targets
from tests.reference.golden import golden_npz, golden_path
from yolo.darknet.modules import block_tensors
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import plan_network
from yolo.darknet.weights import read_weights
from yolo.engine.learner import make_loss, make_optimizer
from yolo.engine.train_state import Training, prepare
from yolo.structures import Batch, GroundTruth, Targets

NO_NORM = BODY.replace("batch_normalize=1\n", "")


def batch_of(images: torch.Tensor, targets: Targets) -> Batch:
    count = len(images)
    return Batch(images=images, targets=targets, indices=tuple(range(count)), geometries=(None,) * count)


def do_update(training: Training, batch: Batch) -> dict[str, float]:
    """One step as the loop takes it."""
    state, learner = training.state, training.learner
    learner.model.train()
    learner.set_lr(training.schedule.lr_factor(state.step, 0.0))
    state.seen += len(batch)
    terms = learner.learn(batch, random_predictors=training.draws_predictors)
    assert learner.update()
    state.step += 1
    return terms


def test_two_updates_equal_darknets_own(tmp_path: Path) -> None:
    golden = golden_npz("tiny_like_train_step.npz")
    config = config_of(
        golden_path("tiny_like_train.cfg"),
        draw_shapes(tmp_path / "data", num_train=1, num_val=1, names=("red", "blue", "green")),
        tmp_path,
        weights=str(golden_path("tiny_like.weights")),
        clear_seen=True,
        model__batch_norm="darknet",
    )
    assert (config.batch_size, config.subdivisions) == (4, 2)
    training = prepare(config, Console(quiet=True))
    plan = plan_network(golden_path("tiny_like_train.cfg").read_text())
    for step in range(2):
        calls = (2 * step, 2 * step + 1)
        parts = [relative_targets(golden["gt"][golden["gt"][:, 0] == call][:, 1:], 2) for call in calls]
        targets = Targets(
            boxes=torch.cat([part.boxes for part in parts]) * 80,
            labels=torch.cat([part.labels for part in parts]),
            image_index=torch.cat([part.image_index + 2 * k for k, part in enumerate(parts)]),
            ignored=torch.cat([part.ignored for part in parts]),
            max_per_image=max(part.max_per_image for part in parts),
        )
        images = torch.from_numpy(golden["input_u8"][list(calls)]).flatten(0, 1)
        do_update(training, batch_of(images, targets))
        assert training.learner.lr == pytest.approx(float(golden["rate_after"][calls[1]]), rel=1e-6)
        expected = read_weights(golden_path(f"tiny_like_step{step + 1}.weights"), plan)
        assert training.state.seen == expected.header.seen
        compared = 0
        for index, arrays in expected.arrays.items():
            own = block_tensors(training.learner.network.layers[index])  # type: ignore[arg-type, index]
            for name, array in arrays.items():
                assert np.abs(own[name].detach().numpy() - array).max() < 2e-6, f"update {step + 1}: {index} {name}"
                compared += 1
        assert compared == 5 * 5 + 2


def gradients(cfg: Path, shapes: Path, folder: Path, parts: int, images: torch.Tensor, targets: Targets) -> Any:
    training = prepare(
        config_of(cfg, shapes, folder / str(parts), batch_size=len(images), subdivisions=parts), Console(quiet=True)
    )
    training.learner.model.train()
    terms = training.learner.learn(batch_of(images, targets), random_predictors=False)
    return terms, [parameter.grad for parameter in training.learner.network.parameters()]


def test_the_gradient_does_not_depend_on_the_subdivisions(shapes: Path, tmp_path: Path) -> None:
    cfg = write_cfg(tmp_path, detector_cfg(body=NO_NORM))
    truths = [GroundTruth.from_boxes([[4, 6, 20, 28]] * count, [1] * count) for count in (1, 0, 2, 1, 0)]
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    targets = Targets.from_ground_truths(truths)
    whole_terms, whole = gradients(cfg, shapes, tmp_path, 1, images, targets)
    for parts in (2, 3, 5, 9):
        terms, in_parts = gradients(cfg, shapes, tmp_path, parts, images, targets)
        assert terms == pytest.approx(whole_terms, rel=1e-5)
        for a, b in zip(whole, in_parts, strict=True):
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-6)


def test_only_weights_decay() -> None:
    body = BODY + "[local]\nfilters=3\nsize=3\npad=1\nactivation=leaky\n\n[batchnorm]\n\n"
    network = DarknetNetwork(DarknetSpec(cfg=detector_cfg(body=body)))
    config = darknet_train_config(cfg="yolov1", data="d").optimizer
    optimizer = make_optimizer(network, replace(config, weight_decay=0.1), fused=False)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    by_name = {name: decays[id(parameter)] for name, parameter in network.named_parameters()}
    assert {name for name, decay in by_name.items() if decay} == {
        f"layers.{index}.weights" for index in (0, 2, 3, 5)
    }  # convolutions, local, connected
    local_biases = dict(network.named_parameters())["layers.3.biases"]
    assert local_biases.ndim == 3
    assert len(by_name) == 9


def test_random_predictors_are_drawn_for_the_first_images_only(shapes: Path, tmp_path: Path) -> None:
    cfg = write_cfg(tmp_path, detector_cfg(detection={"random": 1}))
    training = prepare(config_of(cfg, shapes, tmp_path, loss__random_images=10), Console(quiet=True))
    drawn = []
    for seen in (0, 9, 10, 100):
        training.state.seen = seen
        drawn.append(training.draws_predictors)
    assert drawn == [True, True, False, False]
    config = config_of(write_cfg(tmp_path, detector_cfg(detection={"forced": 1})), shapes, tmp_path)
    assert make_loss(config).rule == "forced"


def test_layers_cut_off_by_stopbackward_stay_as_they_are_without_weight_decay(shapes: Path, tmp_path: Path) -> None:
    cfg = write_cfg(tmp_path, detector_cfg(body=BODY.replace("[maxpool]\n", "[maxpool]\nstopbackward=1\n")))
    training = prepare(config_of(cfg, shapes, tmp_path, optimizer__weight_decay=0.1), Console(quiet=True))
    before = {name: parameter.clone() for name, parameter in training.learner.network.named_parameters()}
    targets = Targets.from_ground_truths([GroundTruth.from_boxes([[4, 6, 20, 28]], [1])] * 2)
    do_update(training, batch_of(torch.rand(2, 3, 32, 32), targets))
    for name, parameter in training.learner.network.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("layers.0."), name
