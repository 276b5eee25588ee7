import io
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from tests.curate.annotated import annotated, centred, random_images
from tests.engine.shapes import draw_shapes
from yolo.cli.arguments import parse
from yolo.config import BoxPolicy, DataStatsConfig, TrainConfig
from yolo.console import table_text
from yolo.curate.grid_fit import measure_grids, recommend
from yolo.curate.measures import DatasetStatistics, measure_dataset
from yolo.curate.stats import (
    MAX_ROWS,
    DataStatsRun,
    class_table,
    draw_plots,
    grid_table,
    name_for_plot,
    overview_lines,
    size_table,
    stats,
)
from yolo.errors import ConfigError, DataError
from yolo.formats.objects import AnnotatedImages
from yolo.geometry import ResizeMode
from yolo.images import read_image
from yolo.structures import GroundTruth

PICTURES = {"classes.png", "images.png", "boxes.png", "grid.png"}


@pytest.fixture(autouse=True)
def drawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures, which take most of the time, are drawn small, and by the command for one test alone."""
    monkeypatch.setattr("yolo.curate.stats._DPI", 40)
    if "run_folder" not in request.node.name:
        monkeypatch.setattr("yolo.curate.stats.draw_plots", lambda *arguments, **options: None)


def measured(*truths: GroundTruth, names: tuple[str, ...] = ("cat", "[red]dog")) -> DatasetStatistics:
    return measure_dataset(annotated(*truths), names, resize="letterbox", input_sizes=(50,))


def test_overview() -> None:
    truth = GroundTruth.from_boxes([[0, 0, 10, 10], [0, 0, 30, 10], [0, 0, 9, 9]], [0] * 3, iscrowd=[0, 0, 1])
    assert overview_lines(measured(truth, GroundTruth.empty())) == [
        "images: 2, without objects 1 (50.0%)",
        "objects: 3, of them 1 difficult or crowds, not in what follows",
        "objects per image: 0 to 2, median 1, 90 % in 0.1 to 1.9",
        "image width: 100 px",
        "image height: 100 px",
        "box width: 10 to 30 px, median 20 px, 90 % in 11 to 29 px",
        "box height: 10 px",
        "box width / height: 1 to 3, median 2, 90 % in 1.1 to 2.9",
    ]


def test_overview_of_nothing() -> None:
    assert overview_lines(measured()) == ["images: 0, without objects 0 (0.0%)", "objects: 0"]


def test_classes_most_frequent_first() -> None:
    table = class_table(measured(centred([(9, 9)] * 3, labels=[1, 1, 0], side=10)))
    assert table_text(table.rows).splitlines() == [
        "class     objects  share  images  difficult  crowd   side",
        "[red]dog        2  66.7%       1          0      0  10.0%",
        "cat             1  33.3%       1          0      0  10.0%",
    ]


def test_many_classes_are_cut_and_mentioned() -> None:
    names = tuple(f"class {k}" for k in range(MAX_ROWS + 5))
    table = class_table(measured(centred([(9, 9)], labels=[MAX_ROWS + 4]), names=names))
    assert len(table.rows) == MAX_ROWS + 1
    assert table.rows[1][0] == f"class {MAX_ROWS + 4}"
    assert table.rows[2][-1] == "-"
    assert "5 rarer ones are in stats.json" in table.title


def test_sizes() -> None:
    table = size_table(measured(GroundTruth.from_boxes([[0, 0, 40, 50]], [0])))
    assert table.rows[1:] == [
        ("as in the files", "0.0%", "100.0%", "0.0%", "40", "40"),
        ("50 px", "100.0%", "0.0%", "0.0%", "20", "20"),
    ]
    assert size_table(measured()).rows[2] == ("50 px", "0.0%", "0.0%", "0.0%", "-", "-")


def test_grids() -> None:
    images = annotated(centred([(10, 10)] * 4, labels=[0, 0, 1, 1]))
    _, row = grid_table(measure_grids(images, [(224, 7)], resize="letterbox")).rows
    assert row == ("7x7", "224/32", "75.00%", "50.00%", "25.00%", "0.00%", "50.00%")


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


def test_the_recommended_grid_is_among_the_grids_on_its_own_input(shapes: Path, tmp_path: Path) -> None:
    run = stats(DataStatsConfig(data=str(shapes), runs=str(tmp_path), input_size=640))
    assert run.recommendation is not None
    assert run.recommendation.limits in run.grids
    assert run.recommendation.limits.input_size == 640
    sides = [limits.grid_size for limits in run.grids]
    assert sides == sorted(set(sides))
    assert {7, 10, 13, 14, 20, 26, 28, 40, 52, 56} <= set(sides)


@pytest.mark.parametrize(("input_size", "resize"), [(None, "letterbox"), (96, "stretch")])
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


def test_more_boxes_get_more_objects(tmp_path: Path) -> None:
    descriptor = draw_shapes(tmp_path / "data", num_train=1)
    # three objects with one centre
    label = descriptor.parent / "labels" / "train" / "0.txt"
    label.write_text("0 0.5 0.5 0.9 0.9\n0 0.5 0.5 0.8 0.8\n1 0.5 0.5 0.7 0.7\n")
    run = stats(DataStatsConfig(data=str(descriptor), runs=str(tmp_path)))
    training = parse("train", TrainConfig, shlex.split(run.command)[2:])
    assert (training.model.boxes_per_cell, training.loss.objects_per_cell) == (3, 3)


def test_a_terminal_gets_the_same_text(shapes: Path, tmp_path: Path) -> None:
    config = DataStatsConfig(data=str(shapes), runs=str(tmp_path))
    plain, rich = printed(config), printed(config, terminal=True)
    assert rich.split()[:-1] == plain.split()[:-1]  # the last word is the name of the run folder


def test_backgrounds_alone_are_described_and_nothing_is_recommended(tmp_path: Path) -> None:
    descriptor = draw_shapes(tmp_path / "data", num_train=2)
    for label in (descriptor.parent / "labels" / "train").iterdir():
        label.write_text("")
    config = DataStatsConfig(data=str(descriptor), runs=str(tmp_path))
    assert "no object can be trained on: there is nothing to recommend" in printed(config)
    content = json.loads((tmp_path / "stats" / "stats.json").read_text())
    assert content["recommendation"] is None
    assert content["statistics"]["background_images"] == 2


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


def pictures_of(images: AnnotatedImages, names: tuple[str, ...], folder: Path) -> dict[str, NDArray[np.uint8]]:
    run = DataStatsRun(
        folder=folder,
        statistics=measure_dataset(images, names, resize="letterbox", input_sizes=()),
        grids=measure_grids(images, [(224, 7), (320, 10)], resize="letterbox"),
        recommendation=recommend(images, names, resize="letterbox"),
        command="",
    )
    draw_plots(run, images, input_size=320, resize="letterbox")
    return {path.name: read_image(path) for path in folder.iterdir()}


def assert_drawn(pictures: dict[str, NDArray[np.uint8]]) -> None:
    assert set(pictures) == PICTURES  # no temporary file is left
    for picture in pictures.values():
        assert 80 < picture.shape[0] < 1500
        assert 300 < picture.shape[1] < 1500
        assert np.unique(picture).size > 10  # something is drawn


def test_more_classes_than_a_picture_has_bars_and_names_that_are_hard_to_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yolo.curate.stats.MAX_BARS", 6)
    names = ("$5_{bill", "a$b_$", "_hidden", "猫 und 犬", "two\nlines\t", "a name that goes on and on and on", "")
    pictures = pictures_of(random_images(0, num_images=20, num_classes=len(names)), names, tmp_path)
    assert_drawn(pictures)
    # 6 bars of 0.3 inches, and 1.5 around them, at 40 dots per inch
    assert pictures["classes.png"].shape[0] == (1.5 + 0.3 * 6) * 40


@pytest.mark.parametrize("truths", [[], [centred([(50, 50)], side=0.25)]], ids=["nothing", "a tiny object"])
def test_nothing_or_hardly_anything(truths: list[GroundTruth], tmp_path: Path) -> None:
    assert_drawn(pictures_of(annotated(*truths), ("cat", "dog") if truths else (), tmp_path))


def test_names_keep_what_the_font_has() -> None:
    assert name_for_plot("Straße ёж ψ") == "Straße ёж ψ"
    assert name_for_plot("猫x犬") == "?x?"
    assert name_for_plot("a\n b\x00") == "a%0A b%00"
    assert name_for_plot("n" * 99) == "n" * 27 + "…"
    assert name_for_plot("$1") == r"\$1"
