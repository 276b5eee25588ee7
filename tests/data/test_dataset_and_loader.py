import pickle
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from yolo.config import AugmentConfig
from yolo.data.cache import MemoryCache
from yolo.data.dataset import DetectionDataset, SampleKey
from yolo.data.loader import (
    NUM_PARTNERS,
    EvaluationBatches,
    TrainBatches,
    collate,
    default_workers,
    draw_partners,
    make_loader,
)
from yolo.images import write_image
from yolo.structures import AnnotatedImage, Batch, GroundTruth, Sample, SkippedImage
from yolo.transforms.albumentations import AlbumentationsPipeline, import_albumentations
from yolo.transforms.augment import TrainTransform


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
    cache = MemoryCache(len(images), (32, 32), limit_mb=cache_mb) if cache_mb else None
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


def test_mixing_may_end_within_an_epoch() -> None:
    """It was asked once for an epoch, so that a run of one long epoch never saw whole images."""
    answers = iter([True, True, False, False])
    plan = TrainBatches(20, 4, seed=0, with_mosaic=lambda epoch: next(answers))
    batches = list(islice(plan, 4))
    assert [{key.with_mosaic for key in keys} for keys in batches] == [{True}, {True}, {False}, {False}]
    assert [{len(key.partners) for key in keys} for keys in batches] == [{NUM_PARTNERS}, {NUM_PARTNERS}, {0}, {0}]


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

    def __call__(
        self, sample: Sample, generator: np.random.Generator, load_partners: object, **options: bool
    ) -> Sample:
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


def test_an_image_of_another_size_is_used_as_it_is_and_noted(images: list[AnnotatedImage]) -> None:
    # 40 x 48 was annotated; of 20 x 30 pixels are left
    truth = GroundTruth.from_boxes([[10.0, 10, 40, 18], [31, 0, 40, 10], [0, 0, 5, 5]], [0, 1, 2])
    changed = AnnotatedImage("0", images[0].path, (40, 48), truth)
    write_image(changed.path, np.zeros((20, 30, 3), np.uint8))
    data = DetectionDataset([changed, *images[1:]], input_hw=(40, 60), resize="stretch")
    sample = data.load(0)
    assert sample.ground_truth.boxes.tolist() == [[20, 20, 60, 36], [0, 0, 10, 10]]
    assert sample.ground_truth.labels.tolist() == [0, 2]
    assert sample.geometry is not None
    assert sample.geometry.original_hw == (20, 30)
    original = data.load_original(0)
    assert original.ground_truth.boxes.tolist() == [[10, 10, 30, 18], [0, 0, 5, 5]]
    (note,) = collate([sample, data.load(1)]).notes
    assert note == original.note
    assert note.path == str(changed.path)
    assert "is 30 x 20 pixels, its annotation says 48 x 40" in note.text
    assert "1 of 3 objects lie outside" in note.text
    data.augment = TrainTransform(AugmentConfig(mosaic=1.0))
    for key in (SampleKey(0, 0), SampleKey(0, 0, True, 0, (1, 2, 3, 4))):
        augmented = data[key]
        assert isinstance(augmented, Sample)
        assert augmented.note == note


def test_the_dataset_can_be_spawned(images: list[AnnotatedImage]) -> None:
    data = dataset(images, cache_mb=1)
    copy = pickle.loads(pickle.dumps(data))
    key = SampleKey(1, 2, True)
    one, two = data[key], copy[key]
    assert isinstance(one, Sample)
    assert isinstance(two, Sample)
    assert (one.image == two.image).all()


@pytest.mark.parametrize(("cores", "on_cpu", "beside_gpu"), [(1, 0, 1), (2, 0, 1), (8, 2, 7), (64, 8, 8)])
def test_default_workers(cores: int, on_cpu: int, beside_gpu: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert (default_workers("cpu"), default_workers("cuda")) == (on_cpu, beside_gpu)


@pytest.mark.parametrize(
    ("workers", "start_method"),
    [
        (2, "fork"),
        pytest.param(2, "spawn", marks=pytest.mark.slow),
        # torch warns where there are fewer cores
        pytest.param(8, "fork", marks=pytest.mark.filterwarnings("ignore:This DataLoader will create")),
    ],
)
def test_every_step_of_the_recipe_gives_the_same_batches(
    images: list[AnnotatedImage], workers: int, start_method: str, tmp_path: Path
) -> None:
    pipeline = tmp_path / "own.json"
    album = import_albumentations()
    album.save(album.Compose([album.RandomBrightnessContrast(p=0.5), album.Affine(rotate=5, p=0.5)]), pipeline)
    everything = AugmentConfig(
        mosaic=0.7,
        mixup=0.5,
        copy_paste=0.5,
        degrees=5,
        shear=3,
        perspective=0.02,
        flip_vertical=0.5,
        blur=0.5,
        jpeg_noise=0.5,
        pipeline=str(pipeline),
    )

    def batches(workers: int, start_method: str | None) -> list[Batch]:
        cache = MemoryCache(len(images), (48, 48), limit_mb=1) if workers else None
        augment = TrainTransform(everything, (48, 48))
        data = DetectionDataset(images, input_hw=(48, 48), resize="letterbox", augment=augment, seed=5, cache=cache)
        plan = TrainBatches(len(data), 3, seed=5, with_mosaic=lambda epoch: True)
        loader = make_loader(data, plan, workers=workers, start_method=start_method)
        return list(islice(iter(loader), 6))

    assert same(batches(0, None), batches(workers, start_method))


class Plain:
    """albumentations as its documentation shows it: nobody gives it a generator."""

    wants_original = False

    def __init__(self) -> None:
        album = import_albumentations()
        self.pipeline = album.Compose([album.RandomBrightnessContrast(p=1)])

    def __call__(
        self, sample: Sample, generator: np.random.Generator, load_partners: object, **options: bool
    ) -> Sample:
        return Sample(self.pipeline(image=sample.image)["image"], sample.ground_truth, sample.index)


class Ours(Plain):
    """The same through the adapter."""

    def __call__(
        self, sample: Sample, generator: np.random.Generator, load_partners: object, **options: bool
    ) -> Sample:
        album = import_albumentations()
        return AlbumentationsPipeline([album.RandomBrightnessContrast(p=1)])(sample, generator)


def test_plain_albumentations_repeats_its_draws_in_every_worker_and_ours_does_not(tmp_path: Path) -> None:
    # one picture eight times: what differs between the samples are the draws
    path = tmp_path / "a.png"
    write_image(path, np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8))
    images = [AnnotatedImage(str(k), path, (8, 8), GroundTruth.empty()) for k in range(8)]
    distinct = {}
    for augment in (Plain(), Ours()):
        data = DetectionDataset(images, input_hw=(8, 8), resize="stretch", augment=augment)
        plan = TrainBatches(8, 1, seed=0, with_mosaic=lambda epoch: False)
        batches = list(islice(iter(make_loader(data, plan, workers=2, start_method="fork")), 8))
        distinct[type(augment)] = len({batch.images.numpy().tobytes() for batch in batches})
    assert distinct == {Plain: 4, Ours: 8}


@pytest.mark.parametrize("batch_size", [1, 2, 5, 16])
def test_a_sample_alone_is_the_sample_in_its_batch(images: list[AnnotatedImage], batch_size: int) -> None:
    data = dataset(images)
    for keys in islice(TrainBatches(7, batch_size, seed=1, with_mosaic=lambda epoch: True), 4):
        for key, together in zip(keys, data.__getitems__(keys), strict=True):
            alone = data[key]
            assert isinstance(alone, Sample)
            assert isinstance(together, Sample)
            assert (alone.image == together.image).all()
            assert (alone.ground_truth.boxes == together.ground_truth.boxes).all()


def test_an_image_is_decoded_once_for_all_samples_of_a_batch(
    images: list[AnnotatedImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    data = dataset(images)
    load = data.load

    def counted(index: int) -> Sample:
        asked.append(index)
        return load(index)

    monkeypatch.setattr(data, "load", counted)
    data.augment = TrainTransform(AugmentConfig(mosaic=1, mixup=1, copy_paste=1))
    (keys,) = islice(TrainBatches(7, 7, seed=1, with_mosaic=lambda epoch: True), 1)
    data.__getitems__(keys)
    assert sorted(asked) == list(range(7))


def test_partners_that_cannot_be_read_are_left_out(images: list[AnnotatedImage]) -> None:
    data = DetectionDataset(
        images, input_hw=(32, 32), resize="letterbox", augment=TrainTransform(AugmentConfig(mosaic=1, mixup=1))
    )
    whole = data[SampleKey(0, 0, True, 0, (1, 2, 3, 4))]
    images[2].path.unlink()
    spared = data[SampleKey(0, 0, True, 0, (1, 2, 3, 4))]
    expected = data[SampleKey(0, 0, True, 0, (1, 3, 4, 4))]
    assert isinstance(spared, Sample)
    assert isinstance(expected, Sample)
    assert isinstance(whole, Sample)
    assert (spared.image == expected.image).all()
    assert (spared.image != whole.image).any()
    for index in (1, 3, 4):
        images[index].path.unlink()
    assert isinstance(data[SampleKey(0, 0, True, 0, (1, 2, 3, 4))], Sample)  # a view of itself


@pytest.mark.parametrize(("num_images", "batch_size"), [(1, 1), (1, 4), (3, 2), (7, 1), (23, 3), (50, 16), (64, 24)])
@pytest.mark.parametrize("replacement", [False, True])
def test_partners_are_neighbours_and_the_same_for_any_ranks(
    num_images: int, batch_size: int, replacement: bool
) -> None:
    def plan(rank: int = 0, num_ranks: int = 1, start: tuple[int, int] = (0, 0)) -> TrainBatches:
        return TrainBatches(
            num_images,
            batch_size,
            seed=3,
            start=start,
            with_mosaic=lambda epoch: epoch != 1,
            replacement=replacement,
            rank=rank,
            num_ranks=num_ranks,
        )

    steps = plan().steps_per_epoch
    batches = list(islice(plan(), 3 * steps))
    for number, keys in enumerate(batches):
        own = {key.image_index for key in keys}
        for key in keys:
            assert len(key.partners) == (0 if key.epoch == 1 else NUM_PARTNERS)
            if num_images > 1 and not replacement:
                assert key.image_index not in key.partners
            if num_images > NUM_PARTNERS and not replacement and key.partners:
                assert len(set(key.partners)) == NUM_PARTNERS
            if len(keys) >= 8:
                assert own.issuperset(key.partners)
        for num_ranks in (2, 3):
            shares = [next(islice(plan(rank, num_ranks), number, None)) for rank in range(num_ranks)]
            assert [key for share in shares for key in share] == keys
            assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert list(islice(plan(start=(2, steps - 1)), 1)) == batches[-1:]


def test_ranks_of_eight_find_their_partners_among_themselves() -> None:
    (keys,) = islice(TrainBatches(64, 32, seed=3, with_mosaic=lambda epoch: True), 1)
    for rank in range(4):
        share = keys[8 * rank : 8 * rank + 8]
        assert {key.image_index for key in share}.issuperset(index for key in share for index in key.partners)


def test_all_partners_are_drawn_alike() -> None:
    order = np.arange(100, 120)
    generator = np.random.default_rng(0)
    firsts = [draw_partners(order, (4, 6), generator)[0] for _ in range(3500)]
    counts = Counter(index for partners in firsts for index in partners)
    # of the batch [104, 105] and six around it; 4 of 7 others each
    assert set(counts) == set(range(101, 109)) - {104}
    assert 1850 < min(counts.values()) <= max(counts.values()) < 2150


def test_ranks_together_make_the_batch_of_one(images: list[AnnotatedImage]) -> None:
    data = dataset(images)

    def batches(rank: int, num_ranks: int) -> list[Batch]:
        plan = TrainBatches(7, 5, seed=5, with_mosaic=lambda epoch: True, rank=rank, num_ranks=num_ranks)
        return list(islice(iter(make_loader(data, plan, workers=0)), 4))

    for whole, left, right in zip(batches(0, 1), batches(0, 2), batches(1, 2), strict=True):
        assert whole.indices == left.indices + right.indices
        assert torch.equal(whole.images, torch.cat([left.images, right.images]))
        assert torch.equal(whole.targets.boxes, torch.cat([left.targets.boxes, right.targets.boxes]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pinned_batches_have_pinned_targets(images: list[AnnotatedImage]) -> None:
    plan = TrainBatches(7, 4, seed=0, with_mosaic=lambda epoch: True)
    batch = next(iter(make_loader(dataset(images), plan, workers=2, pin_memory=True)))
    assert batch.images.is_pinned()
    assert batch.targets.boxes.is_pinned()
    assert batch.to("cuda", non_blocking=True).targets.labels.is_cuda
