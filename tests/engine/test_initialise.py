import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file

from tests.darknet.networks import HEADERS, darknet_train_config, detector_cfg
from tests.engine.darknet_detectors import network_from, write_darknet
from tests.engine.shapes import write_untrained
from yolo.config import DarknetImportConfig, ModelConfig, TrainConfig
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.weights import WeightsHeader
from yolo.engine.darknet import import_darknet
from yolo.engine.detector_file import load_detector
from yolo.engine.initialise import build_start
from yolo.engine.start_auto import resolve_auto
from yolo.errors import ConfigError, WeightsError
from yolo.models.network import GridNetwork

CLASSES = ("red", "blue", "green")


def start(weights: Path, *, num_classes: int = 2, cfg: Path | None = None, **changes: Any) -> tuple[Any, int, str]:
    """The network, the images it has seen, and what was said."""
    cfg = cfg or weights.with_suffix(".cfg")
    config = darknet_train_config(cfg=str(cfg), data="d", weights=str(weights), **changes)
    return built(config, CLASSES[:num_classes])


def built(config: TrainConfig, class_names: tuple[str, ...]) -> tuple[Any, int, str]:
    console = Console(record=True, width=500, file=io.StringIO())
    network, seen, _ = build_start(resolve_auto(config, Console(quiet=True)), class_names, console)
    return network, seen, console.export_text()


def fresh(cfg: str) -> dict[str, torch.Tensor]:
    """The tensors of a network as its seed, 0, makes them."""
    torch.manual_seed(0)
    return DarknetNetwork(DarknetSpec(cfg=cfg)).state_dict()


def equal_layers(network: torch.nn.Module, other: dict[str, torch.Tensor]) -> set[str]:
    """Indices of the layers whose tensors are all those of `other`."""
    own = network.state_dict()
    layers = {name.split(".")[1] for name in own}
    unequal = {name.split(".")[1] for name in own if not torch.equal(own[name], other[name])}
    return layers - unequal


def test_without_weights_the_seed_decides(tmp_path: Path) -> None:
    cfg = tmp_path / "small.cfg"
    cfg.write_text(detector_cfg())
    first, seen, said = start(Path("none"), cfg=cfg)
    again, other = start(Path("none"), cfg=cfg)[0], start(Path("none"), cfg=cfg, seed=1)[0]
    assert (seen, said) == (0, "")
    assert equal_layers(first, again.state_dict()) == {"0", "2", "3"}
    assert not equal_layers(first, other.state_dict()) & {"0", "2", "3"}


def test_whole_weights_fill_every_layer_and_count_on(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    network, seen, said = start(weights)
    assert equal_layers(network, network_from(detector_cfg()).state_dict()) == {"0", "2", "3"}
    assert seen == 640
    assert "small.weights: 5 of 5 layers\n" in said
    assert start(weights, clear_seen=True)[1] == 0


def test_partial_weights_fill_the_first_layers_only(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path, header=WeightsHeader.new(0), upto=2)
    network, seen, said = start(weights)
    assert equal_layers(network, network_from(detector_cfg()).state_dict()) == {"0"}
    assert equal_layers(network, fresh(detector_cfg())) == {"2", "3"}
    assert seen == 0
    assert "small.weights: 2 of 5 layers\n" in said


@pytest.mark.parametrize("name", ["extraction.conv", "darknet19.conv.23", "start"])
def test_weights_may_have_any_name(name: str, tmp_path: Path) -> None:
    weights = write_darknet(tmp_path, upto=2)
    renamed = weights.rename(tmp_path / name)
    network = start(renamed, cfg=tmp_path / "small.cfg")[0]
    assert equal_layers(network, network_from(detector_cfg()).state_dict()) == {"0"}


def test_weights_of_other_classes_fill_all_but_the_last_layer_and_count_anew(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    network, seen, said = start(weights, num_classes=3)
    before = network_from(detector_cfg()).state_dict()
    own = network.state_dict()
    assert network.grid is not None
    assert network.grid.num_classes == 3
    last = {name for name in own if name.startswith("layers.3.")}
    assert all(torch.equal(own[name], before[name]) for name in own if name not in last)
    assert {own[name].shape for name in last} == {(52, 48), (52,)}
    assert own["layers.3.biases"].abs().max() == 0
    assert seen == 0
    assert "small.cfg has 2 classes, the data 3: its last layer was changed" in said
    assert "5 of 5 layers; not the last, layer 3" in said


def test_partial_weights_of_other_classes_are_partial(tmp_path: Path) -> None:
    network, seen, said = start(write_darknet(tmp_path, upto=3), num_classes=3)
    own, before = network.state_dict(), network_from(detector_cfg()).state_dict()
    assert all(torch.equal(own[name], before[name]) for name in own if not name.startswith("layers.3."))
    assert seen == 640
    assert "not the last" not in said


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.form)
def test_every_header_says_how_many_images_were_seen(header: WeightsHeader, tmp_path: Path) -> None:
    cfg = tmp_path / "small.cfg"
    cfg.write_text(detector_cfg())
    weights = write_darknet(tmp_path, header=header)
    # a negative count, of 32 bits that overflowed, counts as none: the schedule starts anew
    assert start(weights)[1] == max(0, header.seen)


def test_an_imported_detector_is_a_start_too(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    imported = import_darknet(DarknetImportConfig(weights=str(weights)))
    network, seen, said = start(imported)
    assert equal_layers(network, network_from(detector_cfg()).state_dict()) == {"0", "2", "3"}
    assert seen == 640
    # without names its classes are numbers, which mean those of the data
    assert "small.safetensors: 9 of 9 tensors, 2 of 2 classes\n" in said
    assert start(imported, clear_seen=True)[1] == 0


def test_an_imported_detector_of_other_classes_keeps_what_it_knows(tmp_path: Path) -> None:
    names = tmp_path / "small.names"
    names.write_text("blue\npink\n")
    imported = import_darknet(DarknetImportConfig(weights=str(write_darknet(tmp_path))))
    network, seen, said = start(imported, num_classes=3)
    assert seen == 0
    assert "9 of 9 tensors, 1 of 3 classes; new classes: red, green; not used: pink\n" in said
    own, its = network.state_dict()["layers.3.biases"], load_detector(imported)[0].state_dict()["layers.3.biases"]
    # 4 cells of 3 class values, then 8 confidences and 32 coordinates; the biases of new classes are 0
    assert own[:12].reshape(4, 3)[:, 1].tolist() == its[:8].reshape(4, 2)[:, 0].tolist()
    assert own[:12].reshape(4, 3)[:, [0, 2]].abs().max() == 0
    assert own[12:].tolist() == its[8:].tolist()


def test_a_detector_from_a_cfg_brings_its_cfg(tmp_path: Path) -> None:
    imported = import_darknet(DarknetImportConfig(weights=str(write_darknet(tmp_path))))
    (tmp_path / "small.cfg").unlink()
    network, seen, _ = start(imported, cfg=imported)
    assert equal_layers(network, network_from(detector_cfg()).state_dict()) == {"0", "2", "3"}
    assert seen == 640
    # who makes a configuration by hand is told
    config = TrainConfig(data="d", input_size=64, weights=str(imported))
    with pytest.raises(ConfigError, match=r"small\.safetensors: its network is from a darknet cfg; name it as --cfg"):
        built(config, CLASSES[:2])


def test_a_start_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    best = write_untrained(tmp_path / "best.safetensors")
    with pytest.raises(WeightsError, match=r"best\.safetensors: nothing in it fits the network"):
        start(best, cfg=weights.with_suffix(".cfg"))
    with pytest.raises(WeightsError, match="training state"):
        start(best.with_name("last.ckpt"), cfg=weights.with_suffix(".cfg"))
    weights.write_bytes(weights.read_bytes()[:-2])
    with pytest.raises(WeightsError, match=r"small\.weights ends inside layer 3"):
        start(weights)
    with pytest.raises(WeightsError, match="DEFAULT"):
        start(Path("DEFAULT"), cfg=weights.with_suffix(".cfg"))
    with pytest.raises(WeightsError, match=r"none\.weights"):
        start(tmp_path / "none.weights", cfg=weights.with_suffix(".cfg"))


@pytest.mark.parametrize(
    "change",
    [{"input_size": 64}, {"model__grid_size": 4}, {"model__boxes_per_cell": 3}],
    ids=lambda change: next(iter(change)),
)
def test_options_that_contradict_the_cfg_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    name = next(iter(change)).replace("__", r"\.")
    with pytest.raises(ConfigError, match=rf"{name} is \d+, but .*small\.cfg has \d+"):
        start(write_darknet(tmp_path), **change)


def test_what_a_cfg_says_in_vain_is_told(tmp_path: Path) -> None:
    cfg = tmp_path / "typo.cfg"
    cfg.write_text(detector_cfg(detection={"foo": 1}))
    assert "unused key 'foo' in [detection]" in start(Path("none"), cfg=cfg)[2]


def test_the_batch_norm_of_the_configuration_is_built(tmp_path: Path) -> None:
    assert start(write_darknet(tmp_path), model__batch_norm="darknet")[0].spec.batch_norm == "darknet"


def test_darknets_weights_need_a_cfg(tmp_path: Path) -> None:
    config = TrainConfig(data="d", input_size=64, weights=str(write_darknet(tmp_path)))
    with pytest.raises(ConfigError, match=r"small\.weights: is a darknet weights file; name its network with --cfg"):
        built(config, CLASSES[:2])


def test_without_weights_a_backbone_has_random_ones() -> None:
    network, seen, said = built(TrainConfig(data="d", input_size=64, weights="none"), CLASSES[:2])
    assert isinstance(network, GridNetwork)
    assert (network.spec.num_classes, seen, said) == (2, 0, "")


def differing(network: torch.nn.Module, best: Path) -> set[str]:
    """Names of the tensors that are not those of a file."""
    own, its = network.state_dict(), load_detector(best)[0].state_dict()
    return {name for name in own if not torch.equal(own[name], its[name])}


def test_a_detector_is_a_start_with_all_its_tensors(tmp_path: Path) -> None:
    best = write_untrained(tmp_path / "run" / "weights" / "best.safetensors")
    for source in (best, best.parent, best.parent.parent):  # a run folder is its best weights
        network, seen, said = built(TrainConfig(data="d", input_size=64, weights=str(source)), CLASSES[:2])
        assert differing(network, best) == set()
        assert (seen, said) == (0, f"weights {best}: 374 of 374 tensors, 2 of 2 classes\n")
    # the input may have another size
    network, *_ = built(TrainConfig(data="d", input_size=96, weights=str(best)), CLASSES[:2])
    assert differing(network, best) == set()


def test_only_a_detector_of_all_classes_is_one_from_the_start(tmp_path: Path) -> None:
    best = write_untrained(tmp_path / "best.safetensors")
    config = TrainConfig(data="d", input_size=64, weights=str(best), backbone="shufflenet_v2_x0_5")
    console = Console(quiet=True)
    assert build_start(config, CLASSES[1::-1], console).is_detector
    assert build_start(config, CLASSES[:1], console).is_detector
    assert not build_start(config, CLASSES, console).is_detector
    assert not build_start(replace(config, weights="none"), CLASSES[:2], console).is_detector


def test_new_classes_are_named_and_a_long_list_is_shortened(tmp_path: Path) -> None:
    names = tuple(f"c{label}" for label in range(9))
    best = write_untrained(tmp_path / "best.safetensors", names=names)
    network, _, said = built(TrainConfig(data="d", input_size=64, weights=str(best)), ("new", "c3"))
    assert said.endswith(
        "374 of 374 tensors, 1 of 2 classes; new classes: new; not used: c0, c1, c2, c4, c5, c6, ... (8 in all)\n"
    )
    own, its = network.head.predict.bias, load_detector(best)[0].state_dict()["head.predict.bias"]
    assert own[:10].tolist() == its[:10].tolist()
    assert own[-1] == its[-6]  # class c3 of nine


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "resnet18"}, "backbone is resnet18, but it has shufflenet_v2_x0_5; leave these options out"),
        ({"model": ModelConfig(width=64)}, "model.width is 64, but it has 96"),
        ({"model": ModelConfig(boxes_per_cell=3)}, "model.boxes_per_cell is 3, but it has 2"),
        (
            {"model": ModelConfig(grid_size=2)},
            "model.grid_size is 2, but its cells are 16 pixels wide: 4 for input",
        ),
        ({"model": ModelConfig(width=64, boxes_per_cell=3)}, r"boxes_per_cell is 3, .*; model\.width is 64"),
    ],
)
def test_options_that_contradict_the_detector_are_named(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    best = write_untrained(tmp_path / "best.safetensors")
    with pytest.raises(ConfigError, match=rf"best\.safetensors: is another network: .*{message}"):
        built(replace(TrainConfig(data="d", input_size=64, weights=str(best)), **options), CLASSES[:2])


def test_what_is_no_start_says_so(tmp_path: Path) -> None:
    best = write_untrained(tmp_path / "best.safetensors")
    best.write_bytes(best.read_bytes()[:-100])
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "run" / "weights").mkdir(parents=True)
    for path, message in (
        (best, r"best\.safetensors: is damaged, cut off or no safetensors file"),
        (photo, r"photo\.png: is not a weights file"),
        (tmp_path / "run", r"run: is a folder without weights/best\.safetensors; name a run folder or a weights file"),
        (tmp_path / "none.safetensors", r"none\.safetensors: no such weights file"),
        (tmp_path / "runs", r"runs' is neither a file, nor a run folder, nor weights of shufflenet"),
        (tmp_path / "last.ckpt", r"last\.ckpt: is a training state; start from best\.safetensors beside it"),
    ):
        with pytest.raises(WeightsError, match=message):
            built(TrainConfig(data="d", input_size=64, weights=str(path)), CLASSES[:2])
    (tmp_path / "run" / "weights" / "last.ckpt").touch()
    with pytest.raises(WeightsError, match=r"run: has no weights/best\.safetensors, .*gridyolo train --resume "):
        built(TrainConfig(data="d", input_size=64, weights=str(tmp_path / "run")), CLASSES[:2])


def test_a_backbone_file_is_no_start_for_a_cfg(tmp_path: Path) -> None:
    backbone = tmp_path / "backbone.safetensors"
    save_file({"conv1.weight": torch.zeros(3)}, backbone)
    cfg = tmp_path / "small.cfg"
    cfg.write_text(detector_cfg())
    with pytest.raises(WeightsError, match=r"backbone\.safetensors: is not a detector of gridyolo"):
        start(backbone, cfg=cfg)
