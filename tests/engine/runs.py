"""What tests read from run folders, and how they stop a run."""

import csv
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from yolo.engine.learner import Learner


def rows_of(folder: Path) -> list[dict[str, str]]:
    """results.csv."""
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    """Everything that learns, from last.ckpt."""
    state = torch.load(folder / "weights" / "last.ckpt", weights_only=True)
    tensors = {f"network.{name}": value for name, value in state["network"].items()}
    tensors |= {f"average.{name}": value for name, value in state["average"].items()}
    for index, values in state["optimizer"]["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    return tensors


def interrupt_after(step: int, patch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C after that many updates."""
    update, calls = Learner.update, []

    def update_and_interrupt(*arguments: Any) -> bool:
        was_done = update(*arguments)
        calls.append(1)
        if len(calls) == step:
            os.kill(os.getpid(), signal.SIGINT)
        return was_done

    patch.setattr(Learner, "update", update_and_interrupt)
