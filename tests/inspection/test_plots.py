from pathlib import Path

import numpy as np
import pytest

from tests.inspection.annotated import annotated, centred, random_images
from yolo.data.annotations import AnnotatedImages
from yolo.images import read_image
from yolo.inspection.grid_limits import measure_grids
from yolo.inspection.plots import (
    MAX_CLASSES,
    name_for_plot,
    plot_boxes,
    plot_classes,
    plot_grids,
    plot_images,
)
from yolo.inspection.recommendation import recommend
from yolo.inspection.statistics import measure_dataset
from yolo.structures import GroundTruth


def draw_all(images: AnnotatedImages, names: tuple[str, ...], folder: Path) -> None:
    measured = measure_dataset(images, names, resize="letterbox", input_sizes=())
    found = recommend(images, names, resize="letterbox")
    plot_classes(measured, folder / "classes.png")
    plot_images(measured, images, folder / "images.png")
    plot_boxes(images, folder / "boxes.png", input_size=320, resize="letterbox")
    plot_grids(measure_grids(images, [(320, 10), (224, 7)], resize="letterbox"), found, folder / "grid.png")
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["boxes.png", "classes.png", "grid.png", "images.png"]  # no temporary file is left
    for name in files:
        picture = read_image(folder / name)
        assert 200 < picture.shape[0] < 5000
        assert 200 < picture.shape[1] < 5000
        assert np.unique(picture).size > 10  # something is drawn


@pytest.mark.parametrize("num_classes", [1, 80, MAX_CLASSES + 50])
def test_few_and_many_classes(num_classes: int, tmp_path: Path) -> None:
    images = random_images(0, num_images=20, num_classes=num_classes)
    draw_all(images, tuple(f"class {k}" for k in range(num_classes)), tmp_path)


@pytest.mark.parametrize("truths", [[], [GroundTruth.empty()], [centred([(50, 50)], side=0.25)]])
def test_nothing_or_hardly_anything(truths: list[GroundTruth], tmp_path: Path) -> None:
    draw_all(annotated(*truths), ("cat", "dog"), tmp_path)


def test_no_classes_at_all(tmp_path: Path) -> None:
    draw_all(annotated(GroundTruth.empty()), (), tmp_path)


def test_awkward_class_names(tmp_path: Path) -> None:
    names = ("$5_{bill", "a$b_$", "_hidden", "猫 und 犬", "two\nlines\t", "a name that goes on and on and on", "")
    draw_all(random_images(0, num_images=9, num_classes=len(names)), names, tmp_path)


def test_names_keep_what_the_font_has() -> None:
    assert name_for_plot("Straße ёж ψ") == "Straße ёж ψ"
    assert name_for_plot("猫x犬") == "?x?"
    assert name_for_plot("a\n b\x00") == "a b?"
    assert name_for_plot("n" * 99) == "n" * 27 + "…"
    assert name_for_plot("$1") == r"\$1"
