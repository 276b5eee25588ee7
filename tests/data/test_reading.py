from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.data.reading import ImageFile, PlacedImage, fit_to_size, read_placed
from yolo.errors import ImageReadError
from yolo.geometry import PADDING_GREY, place_boxes, plan_resize
from yolo.images import write_image
from yolo.structures import AnnotatedImage, GroundTruth


def square_on_black(size_hw: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros((*size_hw, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    return image


def seen_box(pixels: np.ndarray) -> list[float]:
    """Where the white square is, to parts of a pixel: from how bright its rows and columns are."""
    weight = np.where((pixels == PADDING_GREY).all(axis=2), 0, pixels[..., 1] / 255)
    height, width = weight.max(axis=1).sum(), weight.max(axis=0).sum()
    rows, cols = weight.sum(axis=1), weight.sum(axis=0)
    y, x = (
        (rows * (np.arange(len(rows)) + 0.5)).sum() / rows.sum(),
        (cols * (np.arange(len(cols)) + 0.5)).sum() / cols.sum(),
    )
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


@pytest.mark.parametrize("size_hw", [(600, 800), (601, 803), (797, 450), (1203, 1999)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_boxes_lie_on_the_pixels_of_a_reduced_image(tmp_path: Path, size_hw: tuple[int, int], resize: str) -> None:
    height, width = size_hw
    # near the far corner, where an error of scale would be largest
    box = (width - 120, height - 104, width - 24, height - 16)
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), square_on_black(size_hw, box), [cv2.IMWRITE_JPEG_QUALITY, 100])
    truth = GroundTruth.from_boxes([box], [0])
    placed = read_placed(ImageFile(0, path, size_hw), (160, 160), resize, may_reduce=True)  # type: ignore[arg-type]
    assert placed.reduction > 1
    assert placed.size_hw == size_hw
    boxes = placed.place(truth, resize).boxes[0].tolist()  # type: ignore[arg-type]
    assert boxes == pytest.approx(seen_box(placed.pixels), abs=0.3)
    # and that is where the whole image would have had it, to less than a pixel
    whole = place_boxes(truth, plan_resize(size_hw, (160, 160), resize)).boxes[0].tolist()  # type: ignore[arg-type]
    assert boxes == pytest.approx(whole, abs=1)


def test_reduced_and_whole_look_alike(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(coarse, (1000, 750), interpolation=cv2.INTER_CUBIC), np.uint8)
    path = tmp_path / "a.jpg"
    write_image(path, image)
    file = ImageFile(0, path, (750, 1000))
    reduced = read_placed(file, (320, 320), "letterbox", may_reduce=True)
    whole = read_placed(file, (320, 320), "letterbox", may_reduce=False)
    assert (reduced.reduction, whole.reduction) == (2, 1)
    assert np.abs(reduced.pixels.astype(int) - whole.pixels).mean() < 1.5


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([(320, 320), (96, 160)]))
def test_a_reduced_image_is_never_enlarged_more_than_the_whole_one(
    height: int, width: int, input_hw: tuple[int, int]
) -> None:
    # what `possible_reduction` promises is enough for the geometry of the reduced image
    for reduction in (2, 4, 8):
        placed = PlacedImage(np.zeros((*input_hw, 3), np.uint8), (height, width), reduction)
        scale_x, scale_y = placed.geometry("letterbox").scale_xy
        plain = plan_resize((height, width), input_hw, "letterbox")
        needed = (round(height * plain.scale_xy[1]), round(width * plain.scale_xy[0]))
        if -(-height // reduction) >= needed[0] and -(-width // reduction) >= needed[1]:
            assert max(scale_x, scale_y) <= 1.0001


def test_exif_that_turns_otherwise_than_annotated(tmp_path: Path) -> None:
    # stored 400 x 800, annotated 800 x 400 as if EXIF turned it, which it does not
    path = tmp_path / "a.jpg"
    write_image(path, np.zeros((400, 800, 3), np.uint8))
    placed = read_placed(ImageFile(0, path, (800, 400)), (100, 100), "letterbox", may_reduce=True)
    assert (placed.reduction, placed.size_hw) == (1, (400, 800))


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, np.zeros((8, 8, 3), np.uint8))
    file = ImageFile(0, path, (8, 8))
    data, stamp = file.data, file.stamp
    path.unlink()
    assert (file.data, file.stamp) == (data, stamp)
    for attribute in ("data", "stamp"):
        with pytest.raises(ImageReadError, match="cannot be read"):
            getattr(ImageFile(0, path, (8, 8)), attribute)


def test_the_size_that_was_annotated_needs_no_note() -> None:
    truth = GroundTruth.from_boxes([[1.0, 1, 30, 30]], [0])
    assert fit_to_size(AnnotatedImage("a", Path("a"), (20, 20), truth), (20, 20)) == (truth, None)
