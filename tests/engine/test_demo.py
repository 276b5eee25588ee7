import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tests.engine.runs import rows_of, tensors_of
from yolo.config import DemoConfig
from yolo.engine.demo import demo


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, no_plots: None) -> None:
    monkeypatch.setattr("yolo.engine.demo._INPUT_SIZE", 64)
    monkeypatch.setattr("yolo.engine.demo._IMAGE_SIZE_HW", (64, 64))
    monkeypatch.setattr("yolo.engine.demo._BACKBONE", "shufflenet_v2_x0_5")


def test_the_demo_does_a_fixed_amount_of_work_and_says_before_how_long_it_takes(tmp_path: Path) -> None:
    config = DemoConfig(images=20, epochs=2, runs=str(tmp_path))
    console = Console(record=True, width=500, file=io.StringIO())
    first, second = demo(config, console), demo(config, Console(quiet=True))
    text = console.export_text()
    assert "training for 2 epochs takes about 1 minute on 2 CPU cores" in text
    assert text.index("takes about") < text.index("img/s")
    assert len(rows_of(first.training.folder)) == 2
    assert first.training.folder != second.training.folder
    tensors = [tensors_of(outcome.training.folder) for outcome in (first, second)]
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    shown = {what: path for what, path in first.look_at.items() if what != "the course of the training"}
    assert [what for what, path in shown.items() if not path.exists()] == []
    assert first.look_at["the trained detector"] == first.training.best
