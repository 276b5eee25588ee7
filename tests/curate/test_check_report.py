import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.curate.pictures import save
from tests.data.dataset_trees import put_yolo
from yolo.curate.check_report import CheckReport, draw_findings, draw_image, write_report
from yolo.curate.findings import Finding, FindingImage
from yolo.data.read import find_dataset
from yolo.formats.issues import Box

PAPER = 236


def drawn(
    tmp_path: Path, *boxes: Box, size_hw: tuple[int, int] = (300, 400), captions: tuple[str, ...] = ()
) -> NDArray[np.uint8]:
    """A black image with boxes; what is not black was drawn, or lies outside."""
    path = save(tmp_path / "a.png", np.zeros((*size_hw, 3), np.uint8))
    return draw_image(FindingImage(str(path), boxes, captions or ("x",) * len(boxes)))


def coloured(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels that are neither black nor paper: box and name."""
    return np.asarray(image.max(axis=2).astype(int) - image.min(axis=2) > 40)


def colours_in(image: NDArray[np.uint8]) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in image[coloured(image)].tolist()}


def test_an_image_without_boxes_is_only_made_smaller(tmp_path: Path) -> None:
    image = drawn(tmp_path)
    assert image.shape == (270, 360, 3)
    assert not image.any()


def test_a_box_is_drawn_where_it_is(tmp_path: Path) -> None:
    # 400 x 300 becomes 360 x 270: the box (100, 100, 300, 200) is drawn at (90, 90, 270, 180)
    rows, columns = np.nonzero(coloured(drawn(tmp_path, (100, 100, 300, 200))))
    assert (columns.min(), columns.max(), rows.max()) == pytest.approx((90, 270, 180), abs=2)


def test_boxes_outside_are_shown_on_paper(tmp_path: Path) -> None:
    image = drawn(tmp_path, (300, 100, 500, 200))
    # the view is 502 wide: 100 of the box and a margin of 2 more than the image; 1 pixel is 360 / 502
    assert image.shape == (round(300 * 360 / 502), 360, 3)
    assert (image[5, 300:] == PAPER).all()
    assert not image[5, :280].any()


def test_boxes_far_outside_do_not_make_the_image_a_dot(tmp_path: Path) -> None:
    image = drawn(tmp_path, (-1e9, -1e9, 1e9, 1e9))
    # half of the image at each side
    assert image.shape == (270, 360, 3)
    assert (image == PAPER).all(axis=2).mean() < 0.8


def test_swapped_corners_are_drawn_as_if_in_order(tmp_path: Path) -> None:
    assert (drawn(tmp_path, (300, 200, 100, 100)) == drawn(tmp_path, (100, 100, 300, 200))).all()


def test_what_is_no_number_is_not_drawn(tmp_path: Path) -> None:
    assert not drawn(tmp_path, (math.nan, 0, 10, 10), (0, 0, math.inf, 10)).any()


def test_tiny_boxes_are_shown_large(tmp_path: Path) -> None:
    image = drawn(tmp_path, (200, 150, 204, 154))
    # 48 pixels around it, 7.5 times as large
    assert image.shape == (360, 360, 3)
    assert 25 < np.nonzero(coloured(image).any(axis=0))[0].size < 60
    assert coloured(drawn(tmp_path, (200, 150, 200, 150))).any()
    # of 2 pixels: a view of 32, and 8 times as large at most
    assert drawn(tmp_path, (200, 150, 202, 152)).shape == (256, 256, 3)
    assert drawn(tmp_path, size_hw=(20, 30)).shape == (160, 240, 3)
    # 400 pixels become 360: 15 would become 13.5, 16 become 14.4
    assert drawn(tmp_path, (200, 150, 215, 160)).shape == (360, 360, 3)
    assert drawn(tmp_path, (200, 150, 216, 160)).shape == (270, 360, 3)


def test_large_images_are_not_decoded_in_full(tmp_path: Path) -> None:
    image = drawn(tmp_path, (1500, 1500, 3000, 2000), size_hw=(2500, 4000))  # the PNG is halved after decoding
    assert image.shape == (225, 360, 3)
    rows, columns = np.nonzero(coloured(image))
    assert (columns.min(), columns.max(), rows.max()) == pytest.approx((135, 270, 180), abs=2)


def test_a_pair_of_boxes_has_two_colours_and_its_surroundings(tmp_path: Path) -> None:
    image = drawn(tmp_path, (100, 100, 200, 200), (110, 105, 210, 205))
    assert {(230, 57, 70), (42, 157, 244)} <= colours_in(image)
    # 110 pixels of a view of 275
    columns = np.nonzero(coloured(image).any(axis=0))[0]
    assert np.ptp(columns) == pytest.approx(360 / 2.5, abs=4)


@pytest.mark.parametrize(("count", "num_colours"), [(12, 2), (13, 1)])
def test_of_many_boxes_the_classes_are_not_told_apart(tmp_path: Path, count: int, num_colours: int) -> None:
    boxes: list[Box] = [(25 * k, 50, 25 * k + 20, 250) for k in range(count)]
    image = drawn(tmp_path, *boxes, captions=("", "x") * (count // 2) + ("",) * (count % 2))
    assert len({(230, 57, 70), (42, 157, 244)} & colours_in(image)) == num_colours


def test_pictures_are_shared_among_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(save(tmp_path / "a.png", np.zeros((30, 40, 3), np.uint8)))

    def findings(kind: str, count: int, images: int = 1) -> list[Finding]:
        return [Finding(kind, str(place), "", "", (FindingImage(path),) * images) for place in range(count)]

    groups = [findings("a", 100), findings("b", 2), findings("c", 5, images=2), findings("d", 3, images=0)]
    drawn = draw_findings(groups, most=20, annotations=lambda image: image, readable={path})
    # in turns: a, b, cc, a, b, cc, then without b, until 20 are drawn; the last c would be one too many
    assert [len(kind) for kind in drawn] == [8, 2, 5, 0]
    assert sum(len(pictures) for kind in drawn for _, pictures in kind) == 20
    assert [item.path for item, _ in drawn[0]] == [str(place) for place in range(8)]
    assert draw_findings(groups, most=20, annotations=lambda image: image, readable=set()) == [[], [], [], []]
    (many,) = draw_findings([findings("a", 100)], most=100, annotations=lambda image: image, readable={path})
    assert len(many) == 24
    monkeypatch.setattr("yolo.curate.check_report.jpeg_uri", lambda image, quality: "x" * 4_000_000)
    (large,) = draw_findings([findings("a", 100)], most=100, annotations=lambda image: image, readable={path})
    assert len(large) == 2  # 10 megabytes at most


def test_long_tables_are_cut_and_the_worst_kinds_are_named_first(tmp_path: Path) -> None:
    put_yolo(tmp_path / "set", "train", {"a": "", "b": ""})
    kinds = dict.fromkeys(("image_missing", "image_unreadable", "unparsable", "not_finite"), 60)
    report = CheckReport(
        folder=tmp_path,
        descriptor=find_dataset(tmp_path / "set"),
        splits=(),
        findings=tuple(Finding(kind, f"/x/{k}.jpg", "", "odd") for kind in kinds for k in range(60)),
        kinds=kinds,
        counts={"error": 240, "warning": 0, "note": 0},
    )
    write_report(report, num_files=60, readable=set(), max_pictures=0)
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert page.count("<li>") == 3
    assert page.count('<td class="wrap">odd</td>') == 4 * 50
    assert page.count("The first 50 of 60; check.json has all.") == 4


def test_an_image_that_has_gone_in_the_meantime_is_no_picture(tmp_path: Path) -> None:
    path = str(tmp_path / "gone.png")
    gone = [Finding("a", "", "", "", (FindingImage(path),))]
    assert draw_findings([gone], most=9, annotations=lambda image: image, readable={path}) == [[]]
