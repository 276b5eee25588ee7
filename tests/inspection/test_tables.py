import io

import numpy as np
from rich.console import Console

from tests.inspection.annotated import annotated, centred
from yolo.inspection.grid_limits import measure_grids
from yolo.inspection.statistics import DatasetStatistics, measure_dataset
from yolo.inspection.tables import MAX_ROWS, TextTable, class_table, grid_table, overview_lines, size_table
from yolo.structures import GroundTruth


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
    assert table.plain().splitlines()[1:] == [
        "class     objects  share  images  difficult  crowd   side",
        "[red]dog        2  66.7%       1          0      0  10.0%",
        "cat             1  33.3%       1          0      0  10.0%",
    ]


def test_many_classes_are_cut_and_said_to_be() -> None:
    names = tuple(f"class {k}" for k in range(MAX_ROWS + 5))
    table = class_table(measured(centred([(9, 9)], labels=[MAX_ROWS + 4]), names=names))
    assert len(table.rows) == MAX_ROWS
    assert table.rows[0][0] == f"class {MAX_ROWS + 4}"
    assert table.rows[1][-1] == "-"
    assert "5 rarer ones are in stats.json" in table.title


def test_sizes() -> None:
    table = size_table(measured(GroundTruth.from_boxes([[0, 0, 40, 50]], [0])))
    assert table.rows == (
        ("as in the files", "0.0%", "100.0%", "0.0%", "40", "40"),
        ("50 px", "100.0%", "0.0%", "0.0%", "20", "20"),
    )
    assert size_table(measured()).rows[1] == ("50 px", "0.0%", "0.0%", "0.0%", "-", "-")


def test_grids() -> None:
    images = annotated(centred([(10, 10)] * 4, labels=[0, 0, 1, 1]))
    (row,) = grid_table(measure_grids(images, [(224, 7)], resize="letterbox")).rows
    assert row == ("7x7", "224/32", "75.00%", "50.00%", "25.00%", "0.00%", "50.00%")


def test_terminals_get_the_same_cells_and_names_as_they_are() -> None:
    table = TextTable("Title [bold]", ("name", "[x]"), (("[red]dog", "1"), ("cat", "22")))
    stream = io.StringIO()
    Console(file=stream, width=100, force_terminal=True, color_system=None).print(table.rich())
    printed = [line.split() for line in stream.getvalue().splitlines()]
    assert printed == [line.split() for line in table.plain().splitlines()]
    assert np.unique([len(line) for line in table.plain().splitlines()[1:]]).size == 1
