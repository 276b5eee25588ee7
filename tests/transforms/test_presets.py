import numpy as np
import pytest

from yolo.config import AugmentConfig
from yolo.structures import GroundTruth, Sample
from yolo.transforms.albumentations import AlbumentationsPipeline, import_albumentations
from yolo.transforms.crop import Bend
from yolo.transforms.mixing import mosaic
from yolo.transforms.presets import TrainTransform

NOTHING = AugmentConfig(
    mosaic=0, scale=0, translate=0, flip_horizontal=0, flip_vertical=0, hue=0, saturation=0, value=0
)


def sample(index: int = 0, level: int = 90) -> Sample:
    image = np.full((64, 64, 3), level, np.uint8)
    image[20:40, 10:30] = (200, 30, 60)
    truth = GroundTruth.from_boxes([[10.0, 20, 30, 40]], [index], iscrowd=[index == 7], area=[333.0])
    return Sample(image, truth, index)


def others() -> list[Sample]:
    return [sample(index, 30) for index in range(1, 5)]


def nobody() -> list[Sample]:
    return []


def test_all_off_is_the_identity() -> None:
    result = TrainTransform(NOTHING)(sample(), np.random.default_rng(0), others, with_mosaic=True)
    assert (result.image == sample().image).all()
    assert result.ground_truth.boxes.tolist() == [[10, 20, 30, 40]]


def test_a_flip_mirrors_pixels_and_boxes_and_twice_is_the_identity() -> None:
    album = import_albumentations()
    flip = AlbumentationsPipeline([album.HorizontalFlip(p=1)])
    once = flip(sample(), np.random.default_rng(0))
    assert once.ground_truth.boxes.tolist() == [[34, 20, 54, 40]]
    assert (once.image == sample().image[:, ::-1]).all()
    twice = flip(once, np.random.default_rng(0))
    assert (twice.image == sample().image).all()
    assert twice.ground_truth.boxes.tolist() == sample().ground_truth.boxes.tolist()


def test_flags_labels_and_areas_survive_the_library() -> None:
    album = import_albumentations()
    result = AlbumentationsPipeline([album.VerticalFlip(p=1)])(sample(7), np.random.default_rng(0))
    assert result.ground_truth.labels.tolist() == [7]
    assert result.ground_truth.iscrowd.tolist() == [True]
    assert result.ground_truth.area.tolist() == [333.0]


@pytest.mark.parametrize("box", [[0.0, 0, 64.0001, 64], [5, 5, 5, 20], [63.9999, 0, 64, 64]])
def test_boxes_that_albumentations_would_choke_on(box: list[float]) -> None:
    album = import_albumentations()
    awkward = Sample(sample().image, GroundTruth.from_boxes([box], [0]), 0)
    result = AlbumentationsPipeline([album.HorizontalFlip(p=1)])(awkward, np.random.default_rng(0))
    assert len(result.ground_truth) <= 1


def test_the_same_generator_gives_the_same_pixels_and_another_gives_others() -> None:
    transform = TrainTransform(AugmentConfig())

    def pixels(seed: int) -> bytes:
        return transform(sample(), np.random.default_rng(seed), others, with_mosaic=True).image.tobytes()

    assert pixels(3) == pixels(3)
    assert len({pixels(seed) for seed in range(8)}) == 8


def test_colour_changes_leave_boxes_alone() -> None:
    transform = TrainTransform(AugmentConfig(mosaic=0, scale=0, translate=0, flip_horizontal=0))
    result = transform(sample(), np.random.default_rng(1), others, with_mosaic=True)
    assert (result.image != sample().image).any()
    assert result.ground_truth.boxes.tolist() == [[10, 20, 30, 40]]


def test_mosaic_shows_four_images_and_boxes_on_their_pixels() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        tiles = [sample(index, 40 * index) for index in range(4)]
        result = mosaic(tiles, generator, scale=0.3, limits=Bend())
        assert result.image.shape == (64, 64, 3)
        assert result.index == 0
        for x1, y1, x2, y2 in result.ground_truth.boxes.round().astype(int):
            inside = result.image[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].reshape(-1, 3)
            if len(inside):
                assert np.abs(inside.mean(axis=0) - (200, 30, 60)).max() < 12
        assert {0, 40, 80, 120} & set(np.unique(result.image[..., 1]).tolist())


def test_mosaic_is_left_out_when_another_image_cannot_be_read_or_near_the_end() -> None:
    always = TrainTransform(AugmentConfig(mosaic=1, scale=0, translate=0, hue=0, saturation=0, value=0))
    alone = always(sample(), np.random.default_rng(0), nobody, with_mosaic=True)
    closed = always(sample(), np.random.default_rng(0), others, with_mosaic=False)
    for result in (alone, closed):
        assert result.ground_truth.labels.tolist() == [0]
        assert sorted(np.unique(result.image).tolist()) == sorted({90, 200, 30, 60})
