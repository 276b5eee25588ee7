"""Shared by all tests: small, quiet, offline."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.engine.shapes import draw_shapes, quick_config
from yolo.config import AugmentConfig, OptimizerConfig
from yolo.engine.train import TrainingRun, train

# before anything imports it: albumentations looks for updates over the network otherwise
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")


# A busy machine must not fail a test, nor luck a CI run. `make test-slow` uses the thorough profile.
settings.register_profile("default", deadline=None, derandomize=bool(os.environ.get("CI")), max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=300)
settings.load_profile("default")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests run side by side; more threads each would only fight for the cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_shapes(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="session")
def trained(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """A run long enough to have learned the shapes."""
    runs = tmp_path_factory.mktemp("trained")
    optimizer = OptimizerConfig(lr=1e-2, ema=0.8)
    augment = AugmentConfig(mosaic=0, scale=0.1)
    return train(
        quick_config(
            shapes,
            runs,
            epochs=50,
            batch_size=4,
            validations=3,
            optimizer=optimizer,
            augment=augment,
        )
    )


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No package with published weights, and an empty cache of torch, whose folder of files this is."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("yolo.models.efficientnet_lite.find_spec", lambda name: None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder
