import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.evaluation.comparison import ImageChange
from yolo.evaluation.examples import Example
from yolo.evaluation.matching import match
from yolo.images import write_image
from yolo.media.crops import PAPER, Decoded
from yolo.media.drawing import BLUE, ORANGE
from yolo.report.page import CasePicture
from yolo.report.pictures import CasePictures, ChangePictures, case_caption, file_picture

NAMES = ("cat", "dog <b>")


def photo(path: Path, *, size_hw: tuple[int, int] = (200, 320), value: int = 90, **options: Any) -> str:
    Image.fromarray(np.full((*size_hw, 3), value, np.uint8)).save(path, **options)
    return str(path)


def problem_of(
    paths: Sequence[str],
    *,
    truths: Sequence[Sequence[float]] = (),
    detections: Sequence[Sequence[float]] = (),
    sizes_hw: Any = None,
) -> EvaluationData:
    """Rows are box, image, class and, of detections, score; truths of class 0, see there."""
    truth, found = np.array(truths, float).reshape(-1, 6), np.array(detections, float).reshape(-1, 7)
    images = ImageTable(
        [f"{place:06d}" for place in range(len(paths))],
        paths,
        np.zeros((len(paths), 2), np.int32) if sizes_hw is None else np.array(sizes_hw, np.int32),
    )
    return EvaluationData(
        images,
        NAMES,
        TruthSet.from_xyxy(truth[:, :4], truth[:, 5], truth[:, 4]),
        DetectionSet.from_xyxy(found[:, :4], found[:, 6], found[:, 5], found[:, 4]),
    )


def case(detection: int = -1, truth: int = -1, *, image: int = 0, iou: float = 0.0) -> Example:
    return Example("class", image, detection, truth, 0.9, iou, "")


def pixels(picture: CasePicture | None) -> NDArray[np.int64]:
    assert picture is not None
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2]))))
    assert decoded.shape == (picture.height, picture.width, 3)
    return decoded.astype(np.int64)


def extent(image: NDArray[np.int64], colour: tuple[int, int, int]) -> tuple[int, int, int, int] | None:
    """Around all pixels that nearly have a colour, xyxy; None if there are too few for a line."""
    rows, columns = np.nonzero(np.abs(image - colour).max(axis=2) < 45)
    if len(rows) < 6:
        return None
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_detection_and_object_are_drawn_where_they_are(tmp_path: Path) -> None:
    path = photo(tmp_path / "größe ü.png")
    problem = problem_of(
        [path], truths=[(80, 40, 240, 160, 0, 0)], detections=[(100, 60, 280, 180, 0, 1, 0.93)]
    )  # fmt: skip
    pictures = CasePictures(problem)
    picture = pictures(case(0, 0, iou=0.5))
    image = pixels(picture)
    assert image.shape == (200, 320, 3)
    assert extent(image, ORANGE) == pytest.approx((100, 60, 280, 180), abs=2)
    assert extent(image, BLUE) == pytest.approx((80, 40, 240, 160), abs=2)
    # solid: all along the upper side; dashed: with gaps
    solid, dashed = (np.abs(image[row] - colour).max(axis=1) < 60 for row, colour in ((180, ORANGE), (40, BLUE)))
    assert solid[110:270].mean() > 0.95
    assert 0.3 < dashed[90:230].mean() < 0.8
    assert pictures.notes == ()


def test_captions_are_words() -> None:
    problem = problem_of([""], truths=[(0, 0, 9, 9, 0, 0)], detections=[(0, 0, 9, 9, 0, 1, 0.934)])
    assert case_caption(problem, case(0, 0, iou=0.814)) == (
        "detected: dog <b> 0.93; annotated: cat; IoU 0.81; image 000000"
    )
    assert case_caption(problem, case(0)) == "detected: dog <b> 0.93; not annotated; image 000000"
    assert case_caption(problem, case(truth=0)) == "annotated: cat; not detected; image 000000"


def test_tiny_boxes_are_enlarged(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", size_hw=(600, 800))
    problem = problem_of([path], truths=[(400, 300, 410, 310, 0, 0), (0, 0, 30, 30, 0, 0)])
    picture = CasePictures(problem)(case(truth=0))
    image = pixels(picture)
    x1, y1, x2, y2 = extent(image, BLUE) or (0, 0, 0, 0)
    assert max(image.shape[:2]) == 320
    assert x2 - x1 == pytest.approx(0.28 * 320, abs=8)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((160, 160), abs=6)


def test_enlarging_has_limits(tmp_path: Path) -> None:
    # 4 pixels would take 14 x 14; the view is 32 wide, and shown ten times as large
    problem = problem_of([photo(tmp_path / "a.png")], truths=[(100, 100, 104, 104, 0, 0)])
    x1, _, x2, _ = extent(pixels(CasePictures(problem)(case(truth=0))), BLUE) or (0, 0, 0, 0)
    assert x2 - x1 == pytest.approx(40, abs=4)
    tiny = problem_of([photo(tmp_path / "b.png", size_hw=(8, 8))], truths=[(1, 1, 7, 7, 0, 0)])
    assert pixels(CasePictures(tiny)(case(truth=0))).shape == (128, 128, 3)


def test_huge_images_are_always_decoded_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs: list[float] = []

    def remember(path: Path, *, needed: float) -> Any:
        needs.append(needed)
        return Decoded(np.zeros((6000, 6000, 3), np.uint8), 0.25)

    monkeypatch.setattr("yolo.report.pictures.read_size", lambda path: (24000, 24000))
    monkeypatch.setattr("yolo.report.pictures.decode_reduced", remember)
    CasePictures(problem_of(["a"], truths=[(0, 0, 9, 9, 0, 0)]))(case(truth=0))
    assert needs == [6000]


def test_a_picture_has_two_hundred_boxes_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[int] = []

    def count(image: NDArray[np.uint8], lines: Sequence[Any]) -> NDArray[np.uint8]:
        numbers.append(len(lines))
        return image

    monkeypatch.setattr("yolo.report.pictures.draw_outlines", count)
    rows = [(place, place, place + 9, place + 9, 0, 0) for place in range(300)]
    problem = problem_of([photo(tmp_path / "a.png")], truths=rows)
    CasePictures(problem)(case(truth=299))
    draw_image(match(problem), 0, score_threshold=0.5)
    assert numbers == [201, 200, 200]


def test_tiny_boxes_on_huge_images_are_sharp(tmp_path: Path) -> None:
    # a chequered patch of single pixels: it would be grey if the image were decoded reduced
    image = np.full((3000, 4000, 3), 90, np.uint8)
    image[1000:1010:2, 2000:2010:2] = 255
    Image.fromarray(image).save(tmp_path / "a.png")
    rows = [(1990, 990, 2020, 1020, 0, 0, 0.5), (1000, 1000, 3000, 2000, 0, 0, 0.5)]
    pictures = CasePictures(problem_of([str(tmp_path / "a.png")], detections=rows))
    # all of the image is shown reduced, and in its place; what was kept of that is not enough for the small one
    assert extent(pixels(pictures(case(1))), ORANGE) == pytest.approx((80, 80, 240, 160), abs=2)
    assert pixels(pictures(case(0)))[140:180, 140:180].max() > 200
    assert extent(pixels(pictures(case(1))), ORANGE) == pytest.approx((80, 80, 240, 160), abs=2)


def test_a_box_that_reaches_out_is_shown_on_paper(tmp_path: Path) -> None:
    problem = problem_of([photo(tmp_path / "a.png")], detections=[(220, 50, 400, 150, 0, 0, 0.5)])
    image = pixels(CasePictures(problem)(case(0)))
    # the view is 402 wide and shown 320 wide
    assert image.shape == (round(200 * 320 / 402), 320, 3)
    assert image[4:30, 262:300] == pytest.approx(PAPER, abs=4)
    assert extent(image, ORANGE) == pytest.approx((175, 40, 319, 119), abs=3)


def test_boxes_that_are_no_numbers_are_not_drawn(tmp_path: Path) -> None:
    problem = problem_of([photo(tmp_path / "a.png")], detections=[(np.nan, 0, 9, 9, 0, 0, 0.5)])
    assert extent(pixels(CasePictures(problem)(case(0))), ORANGE) is None


def test_other_objects_are_faint(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", value=20)
    alone, more = (
        pixels(CasePictures(problem_of([path], truths=truths))(case(truth=0)))
        for truths in ([(80, 40, 240, 160, 0, 0)], [(80, 40, 240, 160, 0, 0), (20, 20, 60, 60, 0, 1)])
    )
    assert alone[18:62, 18:62].max() < 40
    assert 100 < more[18:62, 18:62].max() < 220
    # those of other images are not drawn
    other = problem_of([path, ""], truths=[(80, 40, 240, 160, 0, 0), (20, 20, 60, 60, 1, 1)])
    assert (pixels(CasePictures(other)(case(truth=0))) == alone).all()


def test_what_cannot_be_read_gives_no_picture(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no image")
    cut_off = tmp_path / "cut.jpg"
    photo(tmp_path / "whole.jpg", quality=90)
    cut_off.write_bytes((tmp_path / "whole.jpg").read_bytes()[:-400])
    folder, gone = str(tmp_path), str(tmp_path / "gone.png")
    paths = ["", str(broken), str(cut_off), gone, folder, "nul\0byte.png", photo(tmp_path / "good.png")]
    problem = problem_of(paths, detections=[(1, 1, 90, 90, place, 0, 0.5) for place in range(len(paths))])
    pictures = CasePictures(problem)
    drawn = [pictures(case(place, image=place)) for place in [*range(len(paths)), 0, 1, 2]]
    assert [picture is not None for picture in drawn] == [False] * 6 + [True] + [False] * 3


def test_a_file_that_states_no_size_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.report.pictures.read_size", lambda path: (0, 7))
    pictures = CasePictures(problem_of([photo(tmp_path / "a.png")], detections=[(1, 1, 90, 90, 0, 0, 0.5)]))
    assert pictures(case(0)) is None


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_boxes_are_in_pixels_of_the_upright_image(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored_hw = (300, 200) if orientation == 3 else (200, 300)
    upright_hw = (300, 200)
    path = photo(tmp_path / "a.jpg", size_hw=stored_hw, exif=exif, quality=95)
    problem = problem_of([path], truths=[(40, 150, 180, 290, 0, 0)], sizes_hw=[upright_hw])
    pictures = CasePictures(problem, side=300)
    image = pixels(pictures(case(truth=0)))
    assert image.shape == (300, 200, 3)
    assert extent(image, BLUE) == pytest.approx((40, 150, 180, 290), abs=2)
    assert pictures.notes == ()


def test_boxes_are_scaled_to_a_resized_copy_and_it_is_said_once(tmp_path: Path) -> None:
    # annotated at 640 x 400, the copy is half as large
    paths = [photo(tmp_path / f"{place}.png") for place in range(2)]
    problem = problem_of(
        paths, truths=[(160, 80, 480, 320, 0, 0), (160, 80, 480, 320, 1, 0)], sizes_hw=[(400, 640), (400, 640)]
    )
    pictures = CasePictures(problem)
    for place in (0, 1, 1):
        assert extent(pixels(pictures(case(truth=place, image=place))), BLUE) == pytest.approx(
            (80, 40, 240, 160), abs=2
        )
    (note,) = pictures.notes
    assert note.startswith("2 of the images shown have another size than the annotations state")
    assert "000000" in note


@pytest.mark.parametrize(("width", "noted"), [(658, "another size"), (661, "another aspect")])
def test_the_aspect_may_differ_by_three_per_cent(tmp_path: Path, width: int, noted: str) -> None:
    # the file is 320 x 200, so 640 x 400 would be exact
    problem = problem_of([photo(tmp_path / "a.png")], truths=[(10, 10, 90, 90, 0, 0)], sizes_hw=[(400, width)])
    pictures = CasePictures(problem)
    pictures(case(truth=0))
    assert noted in pictures.notes[0]


def test_another_aspect_is_noted_as_what_it_may_be(tmp_path: Path) -> None:
    problem = problem_of([photo(tmp_path / "a.png")], truths=[(10, 10, 90, 90, 0, 0)], sizes_hw=[(320, 200)])
    pictures = CasePictures(problem)
    # x times 320 / 200, y times 200 / 320
    assert extent(pixels(pictures(case(truth=0))), BLUE) == pytest.approx((16, 6, 144, 56), abs=2)
    (note,) = pictures.notes
    assert "EXIF" in note


def test_the_last_images_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def decode(path: Path, *, needed: float) -> Decoded:
        read.append(path.name)
        return Decoded(np.broadcast_to(np.uint8(90), (4000, 3334, 3)), 1.0)  # 40 MB; two of them are kept

    monkeypatch.setattr("yolo.report.pictures.read_size", lambda path: (4000, 3334))
    monkeypatch.setattr("yolo.report.pictures.decode_reduced", decode)
    problem = problem_of(["a", "b", "c"], detections=[(1, 1, 300, 150, place, 0, 0.5) for place in range(3)])
    pictures = CasePictures(problem)
    for place in (0, 1, 0, 2, 1):
        pictures(case(place, image=place))
    assert read == ["a", "b", "c", "b"]


def test_pictures_have_quality_80(tmp_path: Path) -> None:
    picture = CasePictures(problem_of([photo(tmp_path / "a.png")], truths=[(1, 1, 90, 90, 0, 0)]))(case(truth=0))
    assert picture is not None
    photo(tmp_path / "b.jpg", quality=80)
    drawn = io.BytesIO(base64.b64decode(picture.source.partition(",")[2]))
    with Image.open(drawn) as one, Image.open(tmp_path / "b.jpg") as other:
        assert one.quantization == other.quantization  # type: ignore[attr-defined]


def matched_scene(path: str, *, detections: Sequence[Sequence[float]]) -> Any:
    """Two objects, side by side."""
    return match(
        problem_of([path], truths=[(40, 40, 120, 160, 0, 0), (180, 40, 280, 160, 0, 1)], detections=detections)
    )


def draw_image(matched: Any, image: int, *, score_threshold: float) -> CasePicture | None:
    """What one detector did on an image: both sides of its comparison with itself."""
    pictures = ChangePictures(matched, matched, (score_threshold, score_threshold), side=320)
    first, second = pictures(ImageChange(image, (0, 0), (0, 0), 0, 0))
    assert first == second
    return first


def test_right_wrong_and_missed_are_drawn_differently(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png")
    # the first object is found (IoU 0.6), the second detected as a cat, and one detection scores too little
    matched = matched_scene(
        path,
        detections=[(60, 40, 140, 160, 0, 0, 0.8), (185, 45, 275, 150, 0, 0, 0.6), (10, 10, 30, 30, 0, 0, 0.2)],
    )
    picture = draw_image(matched, 0, score_threshold=0.5)
    image = pixels(picture)
    assert picture is not None
    assert picture.caption == "found 1 of 2; wrong: cat 0.60; missed: dog <b>"
    assert picture.alt.startswith("Image 000000: found 1 of 2")
    assert extent(image, BLUE) == pytest.approx((180, 40, 280, 160), abs=3)
    assert extent(image, ORANGE) == pytest.approx((185, 45, 275, 150), abs=3)
    assert image[100, 59:62].max() > 200  # the right one is white
    assert image[8:33, 8:33].max() < 120
    none = draw_image(matched, 0, score_threshold=float("nan"))
    assert none is not None
    assert none.caption == "found 0 of 2; missed: cat, dog <b>"
    assert draw_image(matched_scene("", detections=[]), 0, score_threshold=0.5) is None


def test_what_does_not_count_is_neither_wrong_nor_missed(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "a.png"), photo(tmp_path / "b.png")]
    rows = [(40, 40, 120, 160, 0, 0, 0.8), (50, 50, 90, 90, 1, 0, 0.9)]
    problem = problem_of(paths, detections=rows)
    crowd = TruthSet.from_xyxy([(40, 40, 120, 160), (180, 40, 280, 160)], [0, 1], [0, 0], iscrowd=[True, True])
    matched = match(EvaluationData(problem.images, NAMES, crowd, problem.detections))
    picture = draw_image(matched, 0, score_threshold=0.5)
    image = pixels(picture)
    assert picture is not None
    assert picture.caption == "nothing to be found"  # the wrong detection is on the other image
    assert extent(image, ORANGE) is None
    assert extent(image, BLUE) is None
    other = draw_image(matched, 1, score_threshold=0.5)
    assert other is not None
    assert other.caption == "nothing to be found; wrong: cat 0.90"


def test_long_lists_are_shortened_and_empty_images_said(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png")
    rows = [(10 * place, 0, 10 * place + 8, 8, 0, 0) for place in range(6)]
    picture = draw_image(match(problem_of([path], truths=rows)), 0, score_threshold=0.5)
    assert picture is not None
    assert picture.caption == "found 0 of 6; missed: cat, cat, cat and 3 more"
    empty = draw_image(match(problem_of([path])), 0, score_threshold=0.5)
    assert empty is not None
    assert empty.caption == "nothing to be found"


def test_both_detectors_are_shown_on_the_same_part(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", size_hw=(1000, 1000))
    a = match(problem_of([""], truths=[(400, 400, 500, 500, 0, 0)]))
    b = match(problem_of([path], truths=[(400, 400, 500, 500, 0, 0)], detections=[(500, 420, 620, 520, 0, 0, 0.9)]))
    change = ImageChange(0, (0, 0), (0, 1), 1, -1)
    pictures = ChangePictures(a, b, (0.5, 0.5))  # the file is known to B only
    first, second = pictures(change)
    assert extent(pixels(first), BLUE) == extent(pixels(second), BLUE)
    # both boxes, 220 wide, take three quarters of the view; without B's the object would
    x1, _, x2, _ = extent(pixels(first), BLUE) or (0, 0, 0, 0)
    assert x2 - x1 == pytest.approx(100 / (220 / 0.75) * 420, abs=8)
    assert first is not None
    assert (first.caption, second and second.caption) == (
        "found 0 of 1; missed: cat",
        "found 0 of 1; wrong: cat 0.90; missed: cat",
    )
    assert ChangePictures(a, b, (0.5, 0.5), max_bytes=100)(change) == (None, None)
    assert ChangePictures(a, a, (0.5, 0.5))(change) == (None, None)  # no file is known


def test_a_file_fits_the_page_and_one_that_is_missing_gives_no_picture(tmp_path: Path) -> None:
    write_image(tmp_path / "wide.png", np.full((500, 2000, 3), 90, np.uint8))
    picture = file_picture(tmp_path / "wide.png", "what it shows", side=800)
    assert picture is not None
    assert (picture.width, picture.height, picture.alt, picture.caption) == (800, 200, *["what it shows"] * 2)
    assert picture.source.startswith("data:image/jpeg;base64,")
    small = file_picture(tmp_path / "wide.png", "", side=4000)
    assert small is not None
    assert small.width == 2000
    assert file_picture(tmp_path / "missing.png", "") is None
