import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.transforms.samples import sample
from yolo.config import AugmentConfig
from yolo.errors import ConfigError
from yolo.structures import GroundTruth, Sample
from yolo.transforms.albumentations import AlbumentationsPipeline, FilePipeline, import_albumentations
from yolo.transforms.augment import TrainTransform

SIZE = (64, 96)


def saved(path: Path, *transforms: Any, **options: Any) -> Path:
    album = import_albumentations()
    kind = "json" if path.suffix == ".json" else "yaml"
    album.save(album.Compose(list(transforms), **options), path, data_format=kind)
    return path


def noisy() -> Sample:
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return Sample(image, GroundTruth.from_boxes([[10.0, 20, 30, 50]], [3], iscrowd=[True]), 7)


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.yml", "a.txt"])
def test_a_saved_pipeline_moves_boxes_with_the_pixels(tmp_path: Path, name: str) -> None:
    album = import_albumentations()
    box_params = album.BboxParams(format="coco", label_fields=["own"])
    path = saved(tmp_path / name, album.HorizontalFlip(p=1), bbox_params=box_params)
    pipeline = FilePipeline(path, SIZE)
    for made in (pipeline, pickle.loads(pickle.dumps(pipeline))):
        result = made(noisy(), np.random.default_rng(0))
        assert (result.image == noisy().image[:, ::-1]).all()
        assert result.ground_truth.boxes.tolist() == [[66, 20, 86, 50]]
        assert result.ground_truth.iscrowd.tolist() == [True]


def test_nested_steps_and_a_single_step(tmp_path: Path) -> None:
    album = import_albumentations()
    nested = saved(tmp_path / "a.json", album.OneOf([album.VerticalFlip(p=1), album.RandomGamma(p=1)], p=1))
    assert FilePipeline(nested, SIZE)(noisy(), np.random.default_rng(0)).image.shape == (*SIZE, 3)
    album.save(album.InvertImg(p=1), tmp_path / "b.json")
    inverted = FilePipeline(tmp_path / "b.json", SIZE)(noisy(), np.random.default_rng(0))
    assert (inverted.image == 255 - noisy().image).all()


def test_the_draws_are_the_generators(tmp_path: Path) -> None:
    album = import_albumentations()
    pipeline = FilePipeline(saved(tmp_path / "a.json", album.RandomBrightnessContrast(p=1)), SIZE)

    def pixels(seed: int) -> bytes:
        return pipeline(noisy(), np.random.default_rng(seed)).image.tobytes()

    assert pixels(0) == pixels(0)
    assert len({pixels(seed) for seed in range(6)}) == 6


def test_the_recipe_applies_it_last(tmp_path: Path) -> None:
    album = import_albumentations()
    path = saved(tmp_path / "a.json", album.ToGray(p=1))
    result = TrainTransform(AugmentConfig(pipeline=str(path)), SIZE)(
        noisy(), np.random.default_rng(0), list, with_mosaic=False
    )
    assert (result.image[..., 0] == result.image[..., 2]).all()


def named(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"__version__": "2.0.8", "transform": {"__class_fullname__": name, "p": 1.0} | arguments}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (named("NoSuchStep"), "has no transform 'NoSuchStep'"),
        (named("os.system"), "has no transform 'os.system'"),
        (named("Compose", transforms=[named("builtins.eval")["transform"]]), "has no transform 'builtins.eval'"),
        (named("Compose", transforms=["HorizontalFlip"]), "without a name"),
        (named("Compose", transforms=3), "not a list"),
        (named("Lambda", name="f"), "Lambda"),
        (named("Blur", strength=3), "strength"),
        (named("Blur", blur_limit="much"), "blur_limit"),
        (named("RandomCrop", height=32, width=32), "32x32x3 uint8 of 64x96x3 uint8"),
        (named("ToFloat"), "float32 of 64x96x3 uint8"),
        (named("Transpose"), "96x64x3"),
        (named("RandomCrop", height=640, width=640), "fails on an image"),
        ({"transform": "Blur"}, "no key `transform`"),
        ([1, 2], "no key `transform`"),
        ("just text", "no key `transform`"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_file_and_the_reason(tmp_path: Path, content: Any, reason: str) -> None:
    path = tmp_path / "augment.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"augment\.pipeline") as caught:
        FilePipeline(path, SIZE)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_yaml_or_absent(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [1,")
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "d.yaml").write_text("!!python/object/apply:os.system ['touch hacked']")
    (tmp_path / "e.json").write_text("[" * 100_000)
    for name in ("a.yaml", "b.json", "c.yaml", "d.yaml", "e.json", "none.yaml"):
        with pytest.raises(ConfigError, match=name):
            FilePipeline(tmp_path / name, SIZE)


def test_a_step_that_changes_the_size_now_and_then_is_told_of_when_it_does(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(named("RandomCrop", height=32, width=32)))
    wide = FilePipeline(path, (32, 32))
    with pytest.raises(ConfigError, match="32x32x3"):
        wide(noisy(), np.random.default_rng(0))


def test_a_flip_mirrors_pixels_and_boxes_and_twice_is_the_identity() -> None:
    album = import_albumentations()
    flip = AlbumentationsPipeline([album.HorizontalFlip(p=1)])
    once = flip(sample(), np.random.default_rng(0))
    assert once.ground_truth.boxes.tolist() == [[34, 20, 54, 40]]
    assert (once.image == sample().image[:, ::-1]).all()
    twice = flip(once, np.random.default_rng(0))
    assert (twice.image == sample().image).all()
    assert twice.ground_truth.boxes.tolist() == sample().ground_truth.boxes.tolist()


def test_flags_labels_and_areas_survive_the_library() -> None:
    album = import_albumentations()
    result = AlbumentationsPipeline([album.VerticalFlip(p=1)])(sample(7), np.random.default_rng(0))
    assert result.ground_truth.labels.tolist() == [7]
    assert result.ground_truth.iscrowd.tolist() == [True]
    assert result.ground_truth.area.tolist() == [333.0]


@pytest.mark.parametrize("box", [[0.0, 0, 64.0001, 64], [5, 5, 5, 20], [63.9999, 0, 64, 64]])
def test_boxes_that_albumentations_would_choke_on(box: list[float]) -> None:
    album = import_albumentations()
    awkward = Sample(sample().image, GroundTruth.from_boxes([box], [0]), 0)
    result = AlbumentationsPipeline([album.HorizontalFlip(p=1)])(awkward, np.random.default_rng(0))
    assert len(result.ground_truth) <= 1


def test_a_pipeline_of_a_file_is_tried_out_eight_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply, calls = AlbumentationsPipeline.__call__, []

    def counted(*arguments: Any) -> Sample:
        calls.append(1)
        return apply(*arguments)

    monkeypatch.setattr(AlbumentationsPipeline, "__call__", counted)
    FilePipeline(saved(tmp_path / "a.json", import_albumentations().VerticalFlip(p=1)), SIZE)
    assert len(calls) == 8
