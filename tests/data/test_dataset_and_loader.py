import multiprocessing
import pickle
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from yolo.config import AugmentConfig
from yolo.data.cache import ImageCache
from yolo.data.dataset import DetectionDataset, SampleKey
from yolo.data.loader import EvaluationBatches, TrainBatches, collate, default_workers, make_loader
from yolo.errors import ImageReadError
from yolo.images import write_image
from yolo.structures import AnnotatedImage, Batch, GroundTruth, Sample, SkippedImage
from yolo.transforms.presets import TrainTransform


@pytest.fixture
def images(tmp_path: Path) -> list[AnnotatedImage]:
    made = []
    for index in range(7):
        generator = np.random.default_rng(index)
        path = tmp_path / f"{index}.png"
        write_image(path, generator.integers(0, 255, (40, 48, 3), dtype=np.uint8))
        count = index % 3
        corner = generator.uniform(0, 20, (count, 2))
        boxes = np.concatenate([corner, corner + 15], axis=1)
        made.append(AnnotatedImage(str(index), path, (40, 48), GroundTruth.from_boxes(boxes, [index] * count)))
    return made


def dataset(images: list[AnnotatedImage], *, cache_mb: int = 0) -> DetectionDataset:
    cache = ImageCache(len(images), (32, 32), limit_mb=cache_mb) if cache_mb else None
    return DetectionDataset(
        images, input_hw=(32, 32), resize="letterbox", augment=TrainTransform(AugmentConfig()), seed=5, cache=cache
    )


def batches_of(data: DetectionDataset, workers: int, count: int, start: tuple[int, int] = (0, 0)) -> list[Batch]:
    plan = TrainBatches(len(data), 3, seed=5, start=start, with_mosaic=lambda epoch: epoch < 2)
    loader: Iterator[Batch] = iter(make_loader(data, plan, workers=workers))
    return list(islice(loader, count))


def same(a: list[Batch], b: list[Batch]) -> bool:
    return all(
        x.indices == y.indices and torch.equal(x.images, y.images) and torch.equal(x.targets.boxes, y.targets.boxes)
        for x, y in zip(a, b, strict=True)
    )


def test_any_number_of_workers_gives_the_same_batches(images: list[AnnotatedImage]) -> None:
    # plain albumentations 2.0.8 repeats its draws in every worker and every epoch
    alone = batches_of(dataset(images), 0, 6)
    assert same(alone, batches_of(dataset(images), 2, 6))
    assert same(alone, batches_of(dataset(images, cache_mb=10), 2, 6))
    first_epoch = {batch.images[k].numpy().tobytes() for batch in alone[:3] for k in range(len(batch))}
    second_epoch = {batch.images[k].numpy().tobytes() for batch in alone[3:] for k in range(len(batch))}
    assert len(first_epoch) == len(second_epoch) == 7
    assert not first_epoch & second_epoch


def test_a_resumed_order_is_the_rest_of_the_order(images: list[AnnotatedImage]) -> None:
    data = dataset(images)
    assert same(batches_of(data, 0, 6)[2:], batches_of(data, 0, 4, start=(0, 2)))
    assert same(batches_of(data, 0, 6)[3:], batches_of(data, 0, 3, start=(1, 0)))


def test_an_epoch_sees_every_image_once(images: list[AnnotatedImage]) -> None:
    epoch = batches_of(dataset(images), 0, 3)
    assert [len(batch) for batch in epoch] == [3, 3, 1]
    assert sorted(index for batch in epoch for index in batch.indices) == list(range(7))


def drawn_batches(data: DetectionDataset, workers: int, count: int, start: tuple[int, int] = (0, 0)) -> list[Batch]:
    plan = TrainBatches(len(data), 4, seed=5, start=start, with_mosaic=lambda epoch: True, replacement=True)
    return list(islice(iter(make_loader(data, plan, workers=workers)), count))


def test_with_replacement_images_repeat_with_other_draws_in_full_batches(images: list[AnnotatedImage]) -> None:
    plan = TrainBatches(7, 4, seed=5, with_mosaic=lambda epoch: False, replacement=True)
    batches = list(islice(plan, 2 * 20))
    assert {len(keys) for keys in batches} == {4}  # darknet's last batch is no smaller
    for epoch in range(20):
        keys = [key for batch in batches[2 * epoch : 2 * epoch + 2] for key in batch]
        assert {key.epoch for key in keys} == {epoch}
        assert len(set(keys)) == 8  # of 7 images: at least one comes twice
        for index in range(7):
            own = [key.repeat for key in keys if key.image_index == index]
            assert own == list(range(len(own)))
    data = dataset(images)
    twice = next(key for batch in batches for key in batch if key.repeat == 1)
    first, again = data[twice._replace(repeat=0)], data[twice]
    assert isinstance(first, Sample)
    assert isinstance(again, Sample)
    assert (first.image != again.image).any()


def test_more_images_are_drawn_than_there_are_where_the_batch_wants_them() -> None:
    (keys,) = islice(TrainBatches(3, 64, seed=0, with_mosaic=lambda epoch: False, replacement=True), 1)
    assert len(keys) == 64
    assert {key.image_index for key in keys} == {0, 1, 2}


def test_drawn_batches_are_the_same_for_any_workers_and_after_a_resume(images: list[AnnotatedImage]) -> None:
    alone = drawn_batches(dataset(images), 0, 5)
    assert same(alone, drawn_batches(dataset(images), 2, 5))
    assert same(alone[3:], drawn_batches(dataset(images), 0, 2, start=(1, 1)))


class WantsOriginal:
    """Remembers what it is given."""

    wants_original = True

    def __call__(self, sample: Sample, generator: np.random.Generator, load_another: object, **options: bool) -> Sample:
        return sample


def test_an_augmentation_can_have_the_original(images: list[AnnotatedImage]) -> None:
    data = DetectionDataset(images, input_hw=(32, 32), resize="stretch_corners", augment=WantsOriginal())
    sample = data[SampleKey(0, 1)]
    assert isinstance(sample, Sample)
    assert sample.image.shape == (40, 48, 3)
    assert (sample.ground_truth.boxes == images[1].ground_truth.boxes).all()
    images[1].path.unlink()
    assert isinstance(data[SampleKey(0, 1)], SkippedImage)


def test_float_images_travel_as_they_are(images: list[AnnotatedImage]) -> None:
    data = DetectionDataset(images, input_hw=(32, 24), resize="stretch_corners")
    (batch, *_) = make_loader(data, EvaluationBatches(7, 7), workers=0)
    assert batch.images.shape == (7, 3, 32, 24)
    assert batch.images.dtype == torch.float32
    assert 0.9 < float(batch.images.max()) <= 1


def test_evaluation_sees_every_image_in_order_unchanged(images: list[AnnotatedImage]) -> None:
    data = DetectionDataset(images, input_hw=(32, 32), resize="letterbox")
    found = list(make_loader(data, EvaluationBatches(7, 3), workers=0))
    assert [batch.indices for batch in found] == [(0, 1, 2), (3, 4, 5), (6,)]
    assert all(geometry is not None for batch in found for geometry in batch.geometries)


def test_a_bad_file_is_skipped_with_its_reason_and_never_ends_the_epoch(images: list[AnnotatedImage]) -> None:
    data = images[3].path.read_bytes()
    images[3].path.write_bytes(data[: len(data) // 3])
    images[5].path.unlink()
    epoch = batches_of(dataset(images), 0, 3)
    skipped = {Path(one.path).name: one.reason for batch in epoch for one in batch.skipped}
    assert set(skipped) == {"3.png", "5.png"}
    assert "cannot be read" in skipped["5.png"]
    assert sorted(index for batch in epoch for index in batch.indices) == [0, 1, 2, 4, 6]


def test_a_batch_of_bad_files_is_empty() -> None:
    batch = collate([SkippedImage("a", "bad"), SkippedImage("b", "bad")])
    assert len(batch) == 0
    assert len(batch.targets) == 0
    assert len(batch.skipped) == 2


def test_targets_are_flat_and_know_their_image() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    crowd = GroundTruth.from_boxes([[0, 0, 9, 9], [1, 1, 5, 5]], [4, 2], iscrowd=[True, False])
    batch = collate([Sample(image, GroundTruth.empty(), 8), Sample(image, crowd, 9)])
    assert batch.targets.image_index.tolist() == [1, 1]
    assert batch.targets.ignored.tolist() == [True, False]
    assert batch.targets.max_per_image == 2
    assert batch.images.shape == (2, 3, 32, 32)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)


def test_a_changed_size_is_a_read_error(images: list[AnnotatedImage]) -> None:
    write_image(images[0].path, np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(ImageReadError, match="changed its size"):
        DetectionDataset(images, input_hw=(32, 32), resize="letterbox").load(0)


def test_the_cache_keeps_what_fits(images: list[AnnotatedImage]) -> None:
    cache = ImageCache(1000, (100, 100), limit_mb=1)
    assert cache.num_slots == 33
    image = np.full((100, 100, 3), 7, np.uint8)
    cache.put(0, image)
    cache.put(999, image)
    kept = cache.get(0)
    assert kept is not None
    assert (kept == 7).all()
    assert cache.get(1) is None
    assert cache.get(999) is None
    # workers that are spawned start with an empty one
    assert pickle.loads(pickle.dumps(cache)).get(0) is None


def test_the_dataset_can_be_spawned(images: list[AnnotatedImage]) -> None:
    data = dataset(images, cache_mb=1)
    copy = pickle.loads(pickle.dumps(data))
    key = SampleKey(1, 2, True)
    one, two = data[key], copy[key]
    assert isinstance(one, Sample)
    assert isinstance(two, Sample)
    assert (one.image == two.image).all()
    assert multiprocessing.get_all_start_methods()


@pytest.mark.parametrize(("cores", "on_cpu", "beside_gpu"), [(1, 0, 1), (2, 0, 1), (8, 2, 7), (64, 8, 8)])
def test_default_workers(cores: int, on_cpu: int, beside_gpu: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert (default_workers("cpu"), default_workers("cuda")) == (on_cpu, beside_gpu)
