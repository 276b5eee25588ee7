import numpy as np

from yolo.structures import GroundTruth, Sample
from yolo.transforms.mixup import draw_share, mixup


def plain(level: int, label: int) -> Sample:
    truth = GroundTruth.from_boxes([[1.0, 2, 20, 30]], [label], difficult=[label == 2])
    return Sample(np.full((40, 40, 3), level, np.uint8), truth, label)


def test_both_images_shine_through_and_the_objects_of_both_stay() -> None:
    first, second = plain(200, 1), plain(100, 2)
    mixed = mixup(first, second, 0.7)
    assert (mixed.image == 170).all()  # 0.7 * 200 + 0.3 * 100
    assert mixed.index == 1
    assert mixed.ground_truth.labels.tolist() == [1, 2]
    assert mixed.ground_truth.difficult.tolist() == [False, True]
    assert (first.image == 200).all()
    assert (second.image == 100).all()


def test_no_image_all_but_vanishes() -> None:
    generator = np.random.default_rng(0)
    shares = [draw_share(generator) for _ in range(2000)]
    assert 0.48 < np.mean(shares) < 0.52
    assert 0.9 < np.mean([0.25 < share < 0.75 for share in shares]) <= 1
