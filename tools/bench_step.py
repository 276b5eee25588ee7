"""The training step: beside that of a commit, beside its floor, and by processes against threads.

    python tools/bench_step.py [--commit 5078fd6] [--backbone shufflenet_v2_x0_5] [--precision 32] [--data DATA]

Without --data it draws a dataset. Three things are printed:

1. With --commit: milliseconds per step of `gridyolo train` in that commit and in the working tree, which take turns,
   with everything that a step waits for (images, forward, loss, backward, update); and whether the losses of all steps
   are the same numbers.
2. The floor: forward and backward of the network alone on a batch that is there, in memory that is there; and what
   share of the step is anything else.
3. The same floor for one process with all threads, and for one process per core with one thread, which share the batch.

Run nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Runs inside either tree: notes when the loss of each step is asked for, and its terms.
_NOTE_STEPS = """
import json, os, sys, time
from yolo.losses.yolo_loss import YoloLoss
target, steps, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
times, losses, original = [], [], YoloLoss.__call__
def noted(self, grid, raw, targets, *rest, **named):
    terms = original(self, grid, raw, targets, *rest, **named)
    if raw.requires_grad:
        times.append(time.perf_counter())
        losses.append(terms.to_floats())
        if len(times) == steps:
            with open(target, "w") as file:
                json.dump([times, losses], file)
            os._exit(0)
    return terms
YoloLoss.__call__ = noted
from yolo.cli.main import run
run(words)
raise SystemExit(f"only {len(times)} steps were made")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", default="")
    parser.add_argument("--backbone", default="shufflenet_v2_x0_5")
    parser.add_argument("--precision", default="32", choices=("32", "bf16"))
    parser.add_argument("--data", default="")
    parser.add_argument("--input-size", type=int, default=320)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = str(Path(options.data).absolute()) if options.data else _draw(Path(scratch))
        trees = {"working tree": ROOT}
        git = ("git", "-C", str(ROOT), "worktree")
        if options.commit:
            trees = {options.commit: Path(scratch) / "commit", **trees}
            subprocess.run(
                [*git, "add", "--detach", str(trees[options.commit]), options.commit], check=True, capture_output=True
            )
        try:
            step = _compare_steps(trees, data, options, Path(scratch))
        finally:
            if options.commit:
                subprocess.run([*git, "remove", "--force", str(trees[options.commit])], check=True, capture_output=True)
    floor = _floor_in_process(options, cores=1, threads=len(os.sched_getaffinity(0)))
    print(f"floor  {1000 * floor:8.1f} ms: forward and backward of the network alone")
    print(f"other  {100 * (1 - floor / step):8.1f} % of the step")
    cores = len(os.sched_getaffinity(0))
    apart = _floor_in_process(options, cores=cores, threads=1)
    print(f"floor  {1000 * apart:8.1f} ms with {cores} processes of one thread, which share the batch")


def _draw(folder: Path) -> str:
    from yolo.curate.synthetic import make_synthetic_dataset

    return str(make_synthetic_dataset(folder / "data", num_train=160, num_val=16, size_hw=(480, 640), seed=0))


def _compare_steps(trees: dict[str, Path], data: str, options: argparse.Namespace, scratch: Path) -> float:
    """Print the median step of each tree, and return the last one's in seconds."""
    medians: dict[str, list[float]] = {name: [] for name in trees}
    losses: dict[str, list[dict[str, float]]] = {}
    names = list(trees)
    for number in range(options.rounds):
        # the order changes, because a processor may be slower after a minute of work
        for name in names if number % 2 == 0 else names[::-1]:
            times, losses[name] = _run_steps(trees[name], data, options, scratch)
            periods = [after - before for before, after in pairwise(times[5:])]
            medians[name].append(statistics.median(periods))
    result = {name: statistics.median(values) for name, values in medians.items()}
    for name in names:
        spread = ", ".join(f"{1000 * value:.0f}" for value in medians[name])
        rate = options.batch_size / result[name]
        print(f"step   {1000 * result[name]:8.1f} ms, {rate:6.1f} images/s, {name} (rounds: {spread})")
    if len(names) == 2:
        same = losses[names[0]] == losses[names[1]]
        print(f"ratio  {result[names[0]] / result[names[1]]:8.2f}; losses {'equal in every bit' if same else 'DIFFER'}")
    return result[names[-1]]


def _run_steps(
    tree: Path, data: str, options: argparse.Namespace, scratch: Path
) -> tuple[list[float], list[dict[str, float]]]:
    target = scratch / "steps.json"
    words = [
        *("train", "--data", data, "--backbone", options.backbone, "--weights", "none", "--no-report"),
        *("--input-size", str(options.input_size), "--batch-size", str(options.batch_size)),
        # what all commits have, so that the losses can be compared
        *("--model.coding", "logistic", "--precision", options.precision, "--device", "cpu"),
        *("--epochs", "100", "--validations", "1", "--runs", str(scratch / "runs")),
    ]
    command = [sys.executable, "-c", _NOTE_STEPS, str(target), str(options.steps), *words]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    subprocess.run(command, cwd=scratch, env=environment, check=True, stdout=subprocess.DEVNULL)
    times, losses = json.loads(target.read_text())
    return times, losses


def _floor_in_process(options: argparse.Namespace, *, cores: int, threads: int) -> float:
    """Seconds per step of `cores` processes at once, each with its share of the batch; the slowest counts."""
    context = multiprocessing.get_context("spawn")
    share = options.batch_size // cores
    with context.Pool(cores) as pool:
        arguments = [(options.backbone, options.input_size, share, options.precision, threads, options.steps)] * cores
        return max(pool.starmap(floor, arguments))


def floor(backbone: str, input_size: int, batch_size: int, precision: str, threads: int, steps: int) -> float:
    """Median seconds of forward and backward of a network on one batch, in memory that is kept."""
    import torch
    from rich.console import Console

    from yolo.config import TrainConfig
    from yolo.engine.initialise import build_start
    from yolo.engine.start_auto import resolve_auto
    from yolo.process import freed_memory_kept

    torch.set_num_threads(threads)
    quiet = Console(quiet=True)
    config = resolve_auto(TrainConfig(data="-", backbone=backbone, weights="none", input_size=input_size), quiet)
    network = build_start(config, ("a", "b", "c"), quiet).network.to(memory_format=torch.channels_last).train()
    images = torch.randint(0, 256, (batch_size, 3, input_size, input_size), dtype=torch.uint8)
    images = images.contiguous(memory_format=torch.channels_last)
    in_bf16 = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with freed_memory_kept(), in_bf16:
        gradient = torch.randn_like(network(images))
        times = []
        for _ in range(steps):
            began = time.perf_counter()
            network(images).backward(gradient)
            times.append(time.perf_counter() - began)
    return statistics.median(times[5:])


if __name__ == "__main__":
    main()
