import io
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.curate.annotated import annotated, centred, random_images
from tests.engine.shapes import draw_shapes
from yolo.cli.arguments import parse
from yolo.config import BoxPolicy, DataStatsConfig, TrainConfig
from yolo.curate.grid_fit import measure_grids, recommend
from yolo.curate.statistics import measure_dataset
from yolo.curate.stats import MAX_CLASSES, name_for_plot, plot_boxes, plot_classes, plot_grids, plot_images, stats
from yolo.errors import ConfigError, DataError
from yolo.formats.objects import AnnotatedImages
from yolo.geometry import ResizeMode
from yolo.images import read_image
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


PICTURES = {"classes.png", "images.png", "boxes.png", "grid.png"}


def printed(config: DataStatsConfig, *, terminal: bool = False) -> str:
    stream = io.StringIO()
    stats(config, Console(file=stream, width=200, force_terminal=terminal, color_system=None))
    return stream.getvalue()


def test_the_run_folder_and_the_summary_agree(shapes: Path, tmp_path: Path) -> None:
    config = DataStatsConfig(data=str(shapes), runs=str(tmp_path), name="mine")
    lines = printed(config).splitlines()
    folder = tmp_path / "mine"
    assert {path.name for path in folder.iterdir()} == {"stats.json", "data.json"} | PICTURES
    content = json.loads((folder / "stats.json").read_text())
    assert list(content) == ["data", "split", "resize", "statistics", "grids", "recommendation"]
    # 8 images of 64x96 with a red and a blue rectangle each
    assert content["statistics"]["images"] == 8
    assert [(one["name"], one["objects"]) for one in content["statistics"]["classes"]] == [("red", 8), ("blue", 8)]
    assert content["recommendation"]["lost_share"] == 0
    assert "objects: 16" in lines
    assert f"  {content['recommendation']['command']}" in lines
    assert lines[-1] == f"results: {folder}"


def test_the_recommended_grid_is_among_the_grids_on_its_own_input(shapes: Path, tmp_path: Path) -> None:
    run = stats(DataStatsConfig(data=str(shapes), runs=str(tmp_path), input_size=640))
    assert run.recommendation is not None
    assert run.recommendation.limits in run.grids
    assert run.recommendation.limits.input_size == 640
    sides = [limits.grid_size for limits in run.grids]
    assert sides == sorted(set(sides))
    assert {7, 10, 13, 14, 20, 26, 28, 40, 52, 56} <= set(sides)


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("input_size", [None, 96, 448])
def test_the_command_can_be_run_as_it_is(
    shapes: Path, tmp_path: Path, input_size: int | None, resize: ResizeMode
) -> None:
    folder = draw_shapes(tmp_path / "a folder with 'quotes'").parent
    config = DataStatsConfig(
        data=str(folder),
        runs=str(tmp_path),
        input_size=input_size,
        resize=resize,
        box_policy="drop",
    )
    run = stats(config)
    program, command, *words = shlex.split(run.command)
    assert (program, command) == ("gridyolo", "train")
    training = parse("train", TrainConfig, words)
    assert run.recommendation is not None
    assert training.data == str(folder)
    assert training.input_size == run.recommendation.input_size
    assert training.model.grid_size == run.recommendation.grid_size
    assert training.model.boxes_per_cell == run.recommendation.boxes_per_cell
    assert training.model.resize == resize
    assert training.box_policy == "drop"
    assert input_size in (None, training.input_size)


def test_more_boxes_are_taught_more_objects(tmp_path: Path) -> None:
    descriptor = draw_shapes(tmp_path / "data", num_train=1)
    # three objects with one centre
    label = descriptor.parent / "labels" / "train" / "0.txt"
    label.write_text("0 0.5 0.5 0.9 0.9\n0 0.5 0.5 0.8 0.8\n1 0.5 0.5 0.7 0.7\n")
    run = stats(DataStatsConfig(data=str(descriptor), runs=str(tmp_path)))
    training = parse("train", TrainConfig, shlex.split(run.command)[2:])
    assert (training.model.boxes_per_cell, training.loss.objects_per_cell) == (3, 3)


def test_a_terminal_gets_the_same_words(shapes: Path, tmp_path: Path) -> None:
    config = DataStatsConfig(data=str(shapes), runs=str(tmp_path))
    plain, rich = printed(config), printed(config, terminal=True)
    assert rich.split()[:-1] == plain.split()[:-1]  # the last word is the name of the run folder


def test_backgrounds_alone_are_described_and_nothing_is_recommended(tmp_path: Path) -> None:
    descriptor = draw_shapes(tmp_path / "data", num_train=2)
    for label in (descriptor.parent / "labels" / "train").iterdir():
        label.write_text("")
    config = DataStatsConfig(data=str(descriptor), runs=str(tmp_path))
    assert "no object is taught: there is nothing to recommend" in printed(config)
    content = json.loads((tmp_path / "stats" / "stats.json").read_text())
    assert content["recommendation"] is None
    assert content["statistics"]["background_images"] == 2
    assert {path.name for path in (tmp_path / "stats").iterdir()} >= PICTURES


def test_the_policy_for_faulty_boxes_decides_what_is_counted(tmp_path: Path) -> None:
    descriptor = draw_shapes(tmp_path / "data", num_train=1)
    # the first reaches over the border by more than a pixel
    (tmp_path / "data" / "labels" / "train" / "0.txt").write_text("0 0.9 0.5 0.5 0.5\n0 0.5 0.5 0.1 0.1\n")
    policies: dict[BoxPolicy, int] = {"fix": 2, "drop": 1}
    for policy, objects in policies.items():
        run = stats(DataStatsConfig(data=str(descriptor), runs=str(tmp_path), box_policy=policy))
        assert run.statistics.objects == objects
    with pytest.raises(DataError, match="strict"):
        stats(DataStatsConfig(data=str(descriptor), runs=str(tmp_path), box_policy="strict"))


def test_a_split_that_is_not_there_leaves_no_folder(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'test'"):
        stats(DataStatsConfig(data=str(shapes), split="test", runs=str(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("input_size", [0, 31, 100, -32])
def test_input_sizes_that_have_no_grids_are_refused(input_size: int) -> None:
    with pytest.raises(ConfigError, match="multiple of 32"):
        DataStatsConfig(data="x", input_size=input_size)
