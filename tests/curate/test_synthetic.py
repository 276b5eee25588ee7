import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from yolo.config import DatasetFormat, DataSynthConfig
from yolo.curate.synthetic import Difficulty, Scene, box_of, draw_scene, label_text, make_synthetic_dataset, synth
from yolo.curate.synthetic_objects import CLASS_NAMES, Patch, draw_clutter, draw_object
from yolo.data.read import find_dataset, read_split
from yolo.errors import DataError
from yolo.images import read_image
from yolo.randomness import sample_generator

SIZE_HW = (96, 128)  # not square: a swap of height and width would show
# SHA-256 of the labels of two scenes
GOLDEN_LABELS: dict[Difficulty, str] = {
    "easy": "d4d6cd7c48099f52",
    "normal": "f20a49861884c4c1",
    "hard": "8b5fe5c582ff73ca",
}


def make(folder: Path, *, seed: int = 1) -> Path:
    return make_synthetic_dataset(folder, num_train=4, num_val=2, size_hw=SIZE_HW, seed=seed)


def bytes_by_name(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def scenes(count: int, *, size_hw: tuple[int, int] = SIZE_HW) -> list[Scene]:
    return [draw_scene(size_hw, sample_generator(5, 0, index)) for index in range(count)]


def test_other_seeds_and_splits_give_other_images(tmp_path: Path) -> None:
    files = {seed: bytes_by_name(make(tmp_path / str(seed), seed=seed).parent) for seed in (1, 2)}
    assert files[1].keys() == files[2].keys()
    images = [data for one in files.values() for name, data in one.items() if name.endswith(".jpg")]
    assert len(images) == len(set(images)) == 12


def test_boxes_are_tight_around_the_masks() -> None:
    for scene in scenes(20):
        assert len(scene.boxes) == len(scene.masks) == len(scene.labels) <= 7
        for (x1, y1, x2, y2), mask in zip(scene.boxes.astype(int).tolist(), scene.masks, strict=True):
            inside = mask[y1:y2, x1:x2]
            assert inside.sum() == mask.sum()
            for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert edge.any()


def test_box_of_counts_to_the_outer_edge_of_the_last_pixel() -> None:
    mask = np.zeros((5, 7), np.bool_)
    mask[1, 2] = mask[3, 4] = True

    assert box_of(mask) == (2, 1, 5, 4)


def test_there_are_all_classes_and_some_images_without_any() -> None:
    drawn = scenes(60, size_hw=(48, 48))
    empty = [scene for scene in drawn if len(scene.labels) == 0]

    counts = np.bincount(np.concatenate([scene.labels for scene in drawn]), minlength=len(CLASS_NAMES))
    assert counts.min() > 0.5 * counts.mean()
    assert 1 <= len(empty) <= 10
    assert label_text(empty[0]) == ""
    assert empty[0].boxes.shape == (0, 4)
    assert empty[0].masks.shape == (0, 48, 48)


@pytest.mark.parametrize("label", range(len(CLASS_NAMES)))
@pytest.mark.parametrize("side", [8, 33, 90])
def test_silhouettes_nearly_fill_their_patch_and_are_not_cut_off(label: int, side: int) -> None:
    for index in range(5):
        patch = draw_object(label, side, (0.6, -0.8), sample_generator(0, label, index))
        assert patch.rgb.shape == (side, side, 3)
        assert patch.alpha.min() >= 0
        assert patch.alpha.max() <= 1
        x1, y1, x2, y2 = box_of(patch.alpha >= 0.5)
        assert max(x2 - x1, y2 - y1) >= 0.6 * side
        if side >= 33:
            border = np.concatenate([patch.alpha[0], patch.alpha[-1], patch.alpha[:, 0], patch.alpha[:, -1]])
            assert border.max() < 0.5


def test_clutter_has_a_silhouette() -> None:
    for index in range(12):
        assert (draw_clutter(40, (1.0, 0.0), sample_generator(0, 0, index)).alpha >= 0.5).any()


def test_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"mine")

    with pytest.raises(DataError, match=re.escape(str(tmp_path)) + ".*not an empty folder.*name a new one"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("difficulty", GOLDEN_LABELS)
def test_labels_of_known_scenes_stay_what_they_were(difficulty: Difficulty) -> None:
    """What is drawn for a seed is part of published numbers: other draws in between would change every image."""
    text = "".join(label_text(draw_scene(SIZE_HW, sample_generator(3, 0, k), difficulty=difficulty)) for k in range(2))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == GOLDEN_LABELS[difficulty]


@pytest.mark.parametrize("file_format", ["yolo", "voc", "coco", "csv"])
def test_every_format_has_the_same_truth_and_the_same_bytes_again(tmp_path: Path, file_format: DatasetFormat) -> None:
    for name in ("one", "two"):
        path = make_synthetic_dataset(
            tmp_path / name, num_train=3, num_val=1, num_test=2, size_hw=SIZE_HW, seed=4, format=file_format
        )
        assert path == tmp_path / name / "dataset.yaml"
    assert bytes_by_name(tmp_path / "one") == bytes_by_name(tmp_path / "two")
    moved = (tmp_path / "one").rename(tmp_path / "moved")
    for number, (name, count) in enumerate((("train", 3), ("val", 1), ("test", 2))):
        split = read_split(find_dataset(moved), name)
        assert split.report.issues == []
        assert split.class_names == CLASS_NAMES
        assert len(split.images) == count
        for index, image in enumerate(split.images):
            scene = draw_scene(SIZE_HW, sample_generator(4, number, index))
            assert image.size_hw == SIZE_HW
            assert image.ground_truth.labels.tolist() == scene.labels.tolist()
            np.testing.assert_allclose(image.ground_truth.boxes, scene.boxes, atol=1e-3)
            assert image.path.stem.endswith(f"{index:06d}")
            # what was written is what was drawn, but for the losses of JPEG
            assert np.abs(read_image(image.path).astype(np.float32) - scene.image).mean() < 12


def test_some_classes_in_their_own_order(tmp_path: Path) -> None:
    make_synthetic_dataset(
        tmp_path, num_train=6, num_val=1, size_hw=SIZE_HW, seed=0, classes=("star", "ball"), difficulty="hard"
    )
    split = read_split(find_dataset(tmp_path), "train")
    assert split.class_names == ("star", "ball")
    assert set(split.images.objects.labels.tolist()) == {0, 1}


def test_a_fish_is_drawn_where_the_label_says_fish(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def record(label: int, side: int, towards_light: tuple[float, float], generator: np.random.Generator) -> Patch:
        drawn.append(CLASS_NAMES[label])
        return draw_object(label, side, towards_light, generator)

    monkeypatch.setattr("yolo.curate.synthetic.draw_object", record)
    scene = draw_scene(SIZE_HW, sample_generator(0, 0, 0), classes=("fish",))
    assert set(scene.labels.tolist()) == {0}
    assert set(drawn) == {"fish"}


def test_difficulties_are_what_they_say() -> None:
    size_hw = (96, 96)

    def drawn(difficulty: Difficulty) -> list[Scene]:
        return [draw_scene(size_hw, sample_generator(1, 0, index), difficulty=difficulty) for index in range(12)]

    easy, normal, hard = drawn("easy"), drawn("normal"), drawn("hard")
    counts = [np.mean([len(scene.labels) for scene in scenes_]) for scenes_ in (easy, normal, hard)]
    assert counts[0] < counts[1] < counts[2]
    sizes = [
        np.median(np.concatenate([s.boxes[:, 2] - s.boxes[:, 0] for s in scenes_])) for scenes_ in (easy, normal, hard)
    ]
    assert sizes[0] > sizes[1] > sizes[2]
    for scenes_, visible in ((easy, 0.9), (normal, 0.5), (hard, 0.35)):
        for scene in scenes_:
            for index, mask in enumerate(scene.masks):
                hidden = mask & scene.masks[index + 1 :].any(axis=0)
                assert (mask & ~hidden).sum() >= visible * mask.sum() - 1e-9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_train": 0}, "at least 1 image"),
        ({"num_val": 0}, "at least 1 image"),
        ({"num_test": -1}, "-1 for test"),
        ({"size_hw": (96, 47)}, "96x47 pixels are too small"),
        ({"seed": -1}, "not -1"),
        ({"classes": ("star", "cat")}, "'cat' cannot be drawn; there are: ball"),
        ({"classes": ("star", "star")}, "name each class once"),
        ({"classes": ()}, "at least one, not none"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"num_train": 1, "num_val": 1, "size_hw": (96, 48), "seed": 0}
    with pytest.raises(DataError, match=message):
        make_synthetic_dataset(tmp_path / "x", **(good | options))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_where_drawing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image: object) -> bytes:
        raise OSError("no space left")

    monkeypatch.setattr("yolo.curate.synthetic._jpeg", fail)
    with pytest.raises(OSError, match="no space"):
        make(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def run(output: Path, **options: Any) -> tuple[Path, str]:
    screen = io.StringIO()
    options = {"train": 3, "val": 1, "width": 64, "height": 48, **options}
    return synth(DataSynthConfig(output=str(output), **options), Console(file=screen, width=60)), screen.getvalue()


def test_the_command_prints_what_was_drawn(tmp_path: Path) -> None:
    path, said = run(tmp_path / "new", test=2, classes="star, fish", difficulty="easy", format="coco")
    descriptor = find_dataset(path)
    assert list(descriptor.splits) == ["train", "val", "test"]
    split = read_split(descriptor, "train")
    assert split.class_names == ("star", "fish")
    assert {image.size_hw for image in split.images} == {(48, 64)}
    stars, fishes = (int((split.images.objects.labels == label).sum()) for label in (0, 1))
    assert f"train: 3 images, {stars + fishes} objects ({stars} star, {fishes} fish)\n" in said
    assert "test: 2 images" in said
