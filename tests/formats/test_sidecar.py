from pathlib import Path

from yolo.formats.sidecar import extra_rows
from yolo.structures import AnnotatedImage, GroundTruth

PLACE = "images/train/a.jpg"


def rows(truth: GroundTruth, *, image_id: str = "a", keeps_difficult: bool = False) -> list[list[str]]:
    image = AnnotatedImage(image_id, Path("a.jpg"), (20, 40), truth)
    return list(extra_rows(image, PLACE, own_id="a", keeps_difficult=keeps_difficult))


def test_only_what_is_lost_has_a_row() -> None:
    truth = GroundTruth.from_boxes(
        [[0, 0, 10, 10]] * 4, [0] * 4, difficult=[0, 1, 0, 0], iscrowd=[0, 0, 1, 0], area=[100, 100, 100, 61.5]
    )
    assert rows(truth) == [
        [PLACE, "", "2", "1", "0", "100"],
        [PLACE, "", "3", "0", "1", "100"],
        [PLACE, "", "4", "0", "0", "61.5"],
    ]
    assert [row[2] for row in rows(truth, keeps_difficult=True)] == ["3", "4"]


def test_an_id_of_its_own_has_a_row() -> None:
    assert rows(GroundTruth.empty(), image_id="391895") == [[PLACE, "391895", "", "", "", ""]]
    assert rows(GroundTruth.empty()) == []


def test_the_rounding_of_a_box_is_no_area_of_its_own() -> None:
    # corners of about 8000 are known to half a thousandth of a pixel, so that of 2 x 2 pixels to 2e-3
    box = [[8000.1, 8000.1, 8002.1, 8002.1]]
    assert rows(GroundTruth.from_boxes(box, [0], area=[4.001])) == []
    assert len(rows(GroundTruth.from_boxes(box, [0], area=[4.01]))) == 1
