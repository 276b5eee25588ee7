"""The pictures are drawn small here: what is tested does not depend on their resolution."""

from pathlib import Path

import numpy as np
import pytest

from tests.curate.annotated import annotated, centred, random_images
from yolo.curate.grid_fit import measure_grids, recommend
from yolo.curate.measures import measure_dataset
from yolo.curate.stats_plots import MAX_CLASSES, draw_plots, name_for_plot
from yolo.formats.objects import AnnotatedImages
from yolo.images import read_image
from yolo.structures import GroundTruth


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.curate.stats_plots._DPI", 40)


def check_plots(images: AnnotatedImages, names: tuple[str, ...], folder: Path) -> None:
    measured = measure_dataset(images, names, resize="letterbox", input_sizes=())
    found = recommend(images, names, resize="letterbox")
    grids = measure_grids(images, [(320, 10), (224, 7)], resize="letterbox")
    draw_plots(folder, images, measured, grids, found, input_size=320, resize="letterbox")
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["boxes.png", "classes.png", "grid.png", "images.png"]  # no temporary file is left
    for name in files:
        picture = read_image(folder / name)
        assert 80 < picture.shape[0] < 1500
        assert 300 < picture.shape[1] < 1500
        assert np.unique(picture).size > 10  # something is drawn


def test_more_classes_than_a_picture_has_bars_and_names_that_are_hard_to_draw(tmp_path: Path) -> None:
    awkward = ("$5_{bill", "a$b_$", "_hidden", "猫 und 犬", "two\nlines\t", "a name that goes on and on and on", "")
    names = (*awkward, *(f"class {k}" for k in range(MAX_CLASSES)))
    check_plots(random_images(0, num_images=20, num_classes=len(names)), names, tmp_path)


@pytest.mark.parametrize("truths", [[], [centred([(50, 50)], side=0.25)]], ids=["nothing", "a tiny object"])
def test_nothing_or_hardly_anything(truths: list[GroundTruth], tmp_path: Path) -> None:
    check_plots(annotated(*truths), ("cat", "dog") if truths else (), tmp_path)


def test_names_keep_what_the_font_has() -> None:
    assert name_for_plot("Straße ёж ψ") == "Straße ёж ψ"
    assert name_for_plot("猫x犬") == "?x?"
    assert name_for_plot("a\n b\x00") == "a b?"
    assert name_for_plot("n" * 99) == "n" * 27 + "…"
    assert name_for_plot("$1") == r"\$1"
