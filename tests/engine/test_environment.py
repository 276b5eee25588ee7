from typing import Any

import pytest
import torch

from yolo.engine import environment
from yolo.engine.environment import choose_dtype, choose_precision, precision_warnings
from yolo.errors import ConfigError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "backbone", "has_bf16", "wanted"),
    [
        ("auto", "efficientnet_lite0", True, "bf16"),
        ("auto", "efficientnet_lite0", False, "32"),
        ("auto", "shufflenet_v2_x0_5", True, "32"),
        ("auto", "", True, "32"),
        ("32", "efficientnet_lite0", True, "32"),
        ("bf16", "shufflenet_v2_x0_5", False, "bf16"),
    ],
)
def test_auto_takes_bf16_where_the_processor_and_the_backbone_gain(
    name: Any, backbone: str, has_bf16: bool, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "cpu_has_bf16", lambda: has_bf16)
    assert choose_precision(name, CPU, backbone=backbone) == wanted


def test_bf16_without_instructions_for_it_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "cpu_has_bf16", lambda: False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    (warning,) = precision_warnings("bf16", "cpu")
    assert "several times slower than --precision 32" in warning
    assert precision_warnings("32", "cpu") == precision_warnings("auto", "cpu") == []
    monkeypatch.setattr("platform.machine", lambda: "aarch64")  # for which torch cannot tell
    assert precision_warnings("bf16", "cpu") == []
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(environment, "cpu_has_bf16", lambda: True)
    assert precision_warnings("bf16", "cpu") == []


def test_a_torch_that_cannot_tell_has_no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, check, raising=False)
    assert not environment.cpu_has_bf16()
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert environment.cpu_has_bf16()


def test_a_precision_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match="precision must be 32, bf16 or fp16, got 'half'"):
        choose_dtype("half", CPU)
