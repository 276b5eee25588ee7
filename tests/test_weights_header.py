from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from yolo.errors import WeightsError
from yolo.models.weights import read_state_dict, save_weights
from yolo.weights_header import METADATA_KEY, find_metadata, read_metadata


def test_metadata_round_trip_and_foreign_files(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 3)
    save_weights(tmp_path / "a.safetensors", network, {"class_names": ["größe", "b"]})
    assert read_metadata(tmp_path / "a.safetensors") == {"class_names": ["größe", "b"]}
    assert torch.equal(read_state_dict(tmp_path / "a.safetensors")["weight"], network.weight)
    save_file({"x": torch.zeros(1)}, tmp_path / "b.safetensors")
    assert find_metadata(tmp_path / "b.safetensors") is None
    with pytest.raises(WeightsError, match="no gridyolo metadata"):
        read_metadata(tmp_path / "b.safetensors")


def test_what_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for read in (find_metadata, read_metadata):
        with pytest.raises(WeightsError, match=r"a\.safetensors: no such weights file"):
            read(path)
    save_weights(path, torch.nn.Linear(2, 3), {"x": 1})
    whole = path.read_bytes()
    for content in (whole[:-4], whole[:20], b"", b"\xff\xd8\xff\xe0JFIF" * 9):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"a\.safetensors: is damaged, cut off or no safetensors file"):
            find_metadata(path)


@pytest.mark.parametrize("text", ["{", "[1]", '"x"'])
def test_metadata_that_are_no_object_are_damaged(text: str, tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={METADATA_KEY: text})
    with pytest.raises(WeightsError, match=r"a\.safetensors: its metadata are damaged"):
        find_metadata(tmp_path / "a.safetensors")
