import pytest
import torch

from tests.darknet.networks import detector_cfg
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.errors import ConfigError
from yolo.models.freezing import find_part, freeze, stages_of
from yolo.models.network import GridNetwork, NetworkSpec


def shufflenet() -> GridNetwork:
    return GridNetwork(NetworkSpec(backbone="shufflenet_v2_x0_5", num_classes=2))


def darknet(**options: object) -> DarknetNetwork:
    return DarknetNetwork(DarknetSpec(cfg=detector_cfg(**options)))  # type: ignore[arg-type]


def frozen_names(network: torch.nn.Module) -> set[str]:
    return {name for name, parameter in network.named_parameters() if not parameter.requires_grad}


@pytest.mark.parametrize(
    ("backbone", "stages"),
    [
        ("shufflenet_v2_x0_5", ["conv1", "stage2", "stage3", "stage4"]),
        ("resnet18", ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]),
        ("mobilenet_v3_small", [f"features.{index}" for index in range(12)]),
    ],
)
def test_stages_are_the_backbones_modules_in_the_order_of_the_data(backbone: str, stages: list[str]) -> None:
    network = GridNetwork(NetworkSpec(backbone=backbone, num_classes=1))
    assert stages_of(network) == stages
    last = find_part(network, stages[1], option="freeze")
    assert last.parameters == find_part(network, "2", option="freeze").parameters
    prefixes = tuple(f"backbone.body.{stage}." for stage in stages[:2])
    assert last.parameters == {name for name, _ in network.named_parameters() if name.startswith(prefixes)}


@pytest.mark.parametrize(
    ("selectors", "prefixes", "text"),
    [
        ("backbone", ("backbone.",), "backbone"),
        ("conv1", ("backbone.body.conv1.",), "backbone: conv1"),
        ("stage2", ("backbone.body.conv1.", "backbone.body.stage2."), "backbone: conv1 to stage2"),
        ("1, head", ("backbone.body.conv1.", "head."), "backbone: conv1, head"),
        ("head.blocks.*", ("head.blocks.",), "head.blocks.*"),
    ],
)
def test_parts_of_a_backbone_and_head(selectors: str, prefixes: tuple[str, ...], text: str) -> None:
    network = shufflenet()
    expected = {name for name, _ in network.named_parameters() if name.startswith(prefixes)}
    frozen = freeze(network, selectors)
    assert frozen_names(network) == expected
    # their batch norms, too: mean, variance and counter of each
    norms = {name for name, module in network.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    statistics = {name for name, _ in network.named_buffers() if name.rpartition(".")[0] in norms}
    assert frozen.tensors == expected | {name for name in statistics if name.startswith(prefixes)}
    assert 3 * len(frozen.norms) == len(frozen.tensors - expected)
    assert frozen.summary.endswith(f" M parameters ({text})")


def test_a_pattern_freezes_what_it_matches_and_the_norms_that_it_matches_as_a_whole() -> None:
    network = shufflenet()
    frozen = freeze(network, "head.lateral.*.1.weight")
    assert frozen_names(network) == {f"head.lateral.{index}.1.weight" for index in range(3)}
    assert frozen.norms == ()  # their biases still learn
    frozen = freeze(network, "head.lateral.0.1.weight,head.lateral.0.1.bias")
    assert frozen.norms == (network.get_submodule("head.lateral.0.1"),)
    assert "head.lateral.0.1.running_mean" in frozen.tensors


def test_nothing_named_nothing_frozen() -> None:
    network = shufflenet()
    assert freeze(network, "").tensors == freeze(network, " ").tensors == frozenset()
    assert frozen_names(network) == set()


def test_the_first_layers_of_a_cfg() -> None:
    network = darknet()
    frozen = freeze(network, "2")  # the convolution and the pool
    assert frozen_names(network) == {"layers.0.weights", "layers.0.norm.scales", "layers.0.norm.biases"}
    assert frozen.tensors - frozen_names(network) == {"layers.0.norm.rolling_mean", "layers.0.norm.rolling_variance"}
    assert len(frozen.norms) == 1
    assert network.num_frozen == 2
    assert frozen.summary.endswith("(layers 0 to 1)")
    # nothing flows back beyond
    network(torch.rand(2, 3, 32, 32)).sum().backward()
    assert network.layers[0].weights.grad is None
    assert network.layers[2].weights.grad is not None


def test_stopbackward_is_not_undone_by_fewer_layers() -> None:
    body = "[convolutional]\nfilters=3\nsize=3\nstride=4\npad=1\n\n" * 2 + (
        "[convolutional]\nfilters=3\nsize=1\nstopbackward=1\n\n"
    )
    network = darknet(body=body)
    assert network.num_frozen == 3
    freeze(network, "1")
    assert network.num_frozen == 3


@pytest.mark.parametrize(
    ("selectors", "message"),
    [
        ("stage9", r"freeze: 'stage9' matches nothing; name backbone, head, a stage \(conv1, stage2, stage3, stage4\)"),
        ("conv1,", "freeze: '' matches nothing"),
        ("0", "freeze: '0' matches nothing; .* a number of stages from 1 to 4"),
        ("5", "freeze: '5' matches nothing"),
        ("back.*", r"'back\.\*' matches nothing; .*a pattern over parameters such as backbone\.body\.conv1"),
        ("backbone,head", "freeze: backbone, head leaves nothing to train"),
        ("*", r"freeze: \* leaves nothing to train"),
    ],
)
def test_what_freezes_nothing_or_everything_is_refused(selectors: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        freeze(shufflenet(), selectors)


def test_a_network_from_a_cfg_has_layers_and_no_backbone() -> None:
    with pytest.raises(
        ConfigError, match="'backbone' matches nothing; name the first layers by their number, 1 to 5, or"
    ):
        freeze(darknet(), "backbone")
    with pytest.raises(ConfigError, match="layers 0 to 4 leaves nothing to train"):
        freeze(darknet(), "5")
    for number in ("0", "6"):
        with pytest.raises(ConfigError, match=f"'{number}' matches nothing"):
            freeze(darknet(), number)
