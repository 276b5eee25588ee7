"""How much of a training step the loss with its assignment costs, and how it grows with the batch.

    python tools/bench_loss.py [--backbone shufflenet_v2_x0_5] [--input-size 320]

Prints a table: batch size, milliseconds of forward + backward + update, of the loss (forward and its own
backward), and their ratio. The network, grid and loss are those that `gridyolo train` uses by default.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from yolo.config import TrainConfig
from yolo.engine.learner import make_loss, make_optimizer
from yolo.models.network import GridNetwork, NetworkSpec
from yolo.structures import GroundTruth, Targets


def milliseconds(function: Callable[[], None], *, repeats: int) -> float:
    for _ in range(3):
        function()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def random_targets(batch_size: int, input_size: int, *, objects: int, num_classes: int) -> Targets:
    generator = np.random.default_rng(0)
    truths = []
    for _ in range(batch_size):
        size = generator.uniform(0.05, 0.4, (objects, 2)) * input_size
        corner = generator.uniform(0, 0.6, (objects, 2)) * input_size
        boxes = np.concatenate([corner, corner + size], axis=1)
        truths.append(GroundTruth.from_boxes(boxes, generator.integers(0, num_classes, objects)))
    return Targets.from_ground_truths(truths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="shufflenet_v2_x0_5")
    parser.add_argument("--input-size", type=int, default=320)
    parser.add_argument("--objects", type=int, default=14, help="per image; BCCD has 13.7")
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    config = TrainConfig(data="-", backbone=options.backbone, input_size=options.input_size)
    torch.manual_seed(0)
    spec = NetworkSpec(backbone=options.backbone, num_classes=options.classes, stride=config.stride)
    network = GridNetwork(spec).to(memory_format=torch.channels_last).train()
    optimizer, loss = make_optimizer(network, config.optimizer, fused=True), make_loss(config)
    grid, size_hw = spec.grid((options.input_size,) * 2), (options.input_size,) * 2
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{options.backbone}, {options.input_size} px, {options.objects} objects an image, {options.classes} classes")
    print(f"{'batch':>6}{'step ms':>10}{'loss ms':>10}{'share':>8}{'loss ms/image':>15}")
    for batch_size in (1, 4, 16, 64):
        side = (batch_size, 3, *size_hw)
        images = torch.randint(0, 256, side, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
        targets = random_targets(batch_size, options.input_size, objects=options.objects, num_classes=options.classes)
        raw = network(images).detach().requires_grad_()

        def step(images: torch.Tensor = images, targets: Targets = targets) -> None:
            loss(grid, network(images), targets, size_hw).total.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        def loss_alone(raw: torch.Tensor = raw, targets: Targets = targets) -> None:
            loss(grid, raw, targets, size_hw).total.backward()
            raw.grad = None

        whole = milliseconds(step, repeats=options.repeats)
        alone = milliseconds(loss_alone, repeats=options.repeats)
        print(f"{batch_size:6}{whole:10.1f}{alone:10.2f}{alone / whole:8.1%}{alone / batch_size:15.3f}", flush=True)


if __name__ == "__main__":
    main()
