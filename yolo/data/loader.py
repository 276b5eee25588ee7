"""Batches for training and validation from torch's DataLoader, in an order that only (seed, epoch) decide."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from yolo.data.dataset import DetectionDataset, SampleKey
from yolo.data.watched import READ_SECONDS, LoneWatch, ReadingWatch, WatchedLoader
from yolo.process import available_cores
from yolo.randomness import epoch_order, partner_generator
from yolo.structures import Batch, Sample, SkippedImage, Targets

_MAX_DEFAULT_WORKERS = 8

# A sample is mixed with images that its batch reads anyway. They come from groups of about this size and not from the
# whole batch, so that each rank of several finds them in its own part of it.
_GROUP_SIZE = 8
NUM_PARTNERS = 4


@dataclass(eq=False)
class TrainBatches(Sampler[list[SampleKey]]):
    """Keys of all batches of a training, epoch after epoch, without a pause between epochs.

    With several ranks each gets a part of every batch; the parts of all, one after the other, are the batch of a single
    rank. The parts of a short last batch may differ by one image, or be empty.
    """

    num_images: int  # length of the dataset
    batch_size: int  # images per step, those of all ranks together; the last step of an epoch may have fewer
    _: KW_ONLY
    seed: int  # of the run
    start: tuple[int, int] = (0, 0)  # epoch and step in the epoch to begin with, for a resumed run
    with_mosaic: Callable[[int], bool]  # whether samples of an epoch are mixed with others; asked for every batch
    replacement: bool = False  # draw every image anew, and fill the last batch (darknet); else visit each image once
    rank: int = 0  # which part of every batch to yield
    num_ranks: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-self.num_images // self.batch_size)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        epoch, first_step = self.start
        # darknet has no smaller last batch
        draws = self.steps_per_epoch * self.batch_size if self.replacement else None
        while True:
            order = epoch_order(self.seed, epoch, self.num_images, draws=draws)
            repeats = _count_before(order) if self.replacement else np.zeros_like(order)
            for step in range(first_step, self.steps_per_epoch):
                # once for an epoch would not do: one epoch may outlast the time budget of a run
                yield self._keys(order, repeats, epoch=epoch, step=step, mosaic=self.with_mosaic(epoch))
            epoch, first_step = epoch + 1, 0

    def _keys(
        self, order: NDArray[np.int64], repeats: NDArray[np.int64], *, epoch: int, step: int, mosaic: bool
    ) -> list[SampleKey]:
        start = step * self.batch_size
        stop = min(start + self.batch_size, len(order))
        indices, counts = order[start:stop].tolist(), repeats[start:stop].tolist()
        partners: list[tuple[int, ...]] = [()] * len(indices)
        if mosaic:
            partners = draw_partners(order, (start, stop), partner_generator(self.seed, epoch, step))
        keys = [
            SampleKey(epoch, index, mosaic, count, others)
            for index, count, others in zip(indices, counts, partners, strict=True)
        ]
        return keys[len(keys) * self.rank // self.num_ranks : len(keys) * (self.rank + 1) // self.num_ranks]


def draw_partners(
    order: NDArray[np.int64], places: tuple[int, int], generator: np.random.Generator
) -> list[tuple[int, ...]]:
    """Draw for each sample of a batch the images it may be mixed with.

    They are images of the same batch; a batch that is too small for that borrows from the batches around it.

    Args:
        order: (n,) the order in which an epoch visits its images.
        places: the batch is order[start:stop].
        generator: source of the draws.

    Returns:
        For each place 4 images, in random order, from other places of the order; they repeat where there are too few.
    """
    partners = []
    for own, window in _groups(places, len(order)):
        images = order[window.start : window.stop]
        ranks = generator.random((len(own), len(images)))
        # a sample's own place comes last: it is left out unless it is the only one
        ranks[np.arange(len(own)), np.arange(own.start, own.stop) - window.start] = 2.0
        chosen = images[np.argsort(ranks, axis=1, kind="stable")[:, : max(1, len(images) - 1)]]
        wanted = np.arange(NUM_PARTNERS) % chosen.shape[1]
        partners += [tuple(row) for row in chosen[:, wanted].tolist()]
    return partners


def _groups(places: tuple[int, int], total: int) -> Iterator[tuple[range, range]]:
    """Split a batch into groups: the places that need partners, and the places these come from."""
    start, stop = places
    count = (stop - start) // _GROUP_SIZE
    if count:
        bounds = [start + (stop - start) * number // count for number in range(count + 1)]
        for first, last in pairwise(bounds):
            yield range(first, last), range(first, last)
    else:
        first = max(0, min(start - (_GROUP_SIZE - (stop - start)) // 2, total - _GROUP_SIZE))
        yield range(start, stop), range(first, min(total, first + _GROUP_SIZE))


def _count_before(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each place, how often its image stands in `order` before it.

    >>> _count_before(np.array([3, 1, 3, 3, 1])).tolist()
    [0, 0, 1, 2, 1]
    """
    by_image = np.argsort(order, kind="stable")
    same = order[by_image]
    firsts = np.searchsorted(same, same, side="left")
    counts = np.empty_like(order)
    counts[by_image] = np.arange(len(order)) - firsts
    return counts


@dataclass(eq=False)
class EvaluationBatches(Sampler[list[SampleKey]]):
    """Keys of every image once, in order."""

    num_images: int
    batch_size: int

    def __len__(self) -> int:
        return -(-self.num_images // self.batch_size)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        for start in range(0, self.num_images, self.batch_size):
            yield [SampleKey(0, index) for index in range(start, min(start + self.batch_size, self.num_images))]


def make_loader(
    dataset: DetectionDataset,
    batches: Sampler[list[SampleKey]],
    *,
    workers: int,
    pin_memory: bool = False,
    start_method: str | None = None,
    patience: float = READ_SECONDS,
) -> Iterable[Batch]:
    """A loader of `batches`, which are the same for any number of workers and any start method.

    Args:
        dataset: what is loaded.
        batches: the keys of each batch.
        workers: processes that load; with 0 it loads in this one.
        pin_memory: page-lock batches for the copy to a GPU.
        start_method: fork, spawn or forkserver; None for fork where there is one, because forked workers start at once
            and share the dataset.
        patience: seconds after which reading an image is given up: the image is skipped, and a worker replaced.
    """
    # the loader draws a seed for its workers, which ours ignore; from the global stream it would disturb a resumed run
    options = {"collate_fn": collate, "generator": torch.Generator(), "pin_memory": pin_memory}
    if not workers:
        dataset = replace(dataset, watch=LoneWatch(_path_of(dataset), patience=patience))
        return DataLoader(dataset, batch_sampler=batches, **options)  # type: ignore[arg-type]  # samples become batches
    return _watched(dataset, batches, options, workers=workers, start_method=start_method, patience=patience)


@dataclass(eq=False)
class _Originals(Dataset[Sample | SkippedImage]):
    """The images of a split as they are in their files."""

    dataset: DetectionDataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample | SkippedImage:
        sample = self.dataset.read(index, self.dataset.load_original)
        if self.dataset.watch is not None:
            self.dataset.watch.end()
        return sample


def original_images(
    dataset: DetectionDataset, *, workers: int, patience: float = READ_SECONDS
) -> Iterable[Sample | SkippedImage]:
    """A loader of every image of a dataset once, in order and in its own size, not placed on an input."""
    options = {"batch_size": None, "collate_fn": _as_it_is, "generator": torch.Generator()}
    if not workers:
        dataset = replace(dataset, watch=LoneWatch(_path_of(dataset), patience=patience))
        return DataLoader(_Originals(dataset), **options)  # type: ignore[arg-type]  # it gets a single sample
    return _watched(dataset, range(len(dataset)), options, workers=workers, patience=patience)


def _path_of(dataset: DetectionDataset) -> Callable[[int], str]:
    return lambda index: str(dataset.images[index].path)


def _watched(
    dataset: DetectionDataset,
    keys: Iterable[Any],
    options: dict[str, Any],
    *,
    workers: int,
    start_method: str | None = None,
    patience: float,
) -> WatchedLoader[Any]:
    start_method = start_method or _default_start_method()
    watch = ReadingWatch(workers, start_method)
    dataset = replace(dataset, watch=watch)
    return WatchedLoader(
        watch,
        _path_of(dataset),
        keys,
        patience=patience,
        options=options
        | {
            "dataset": dataset if "batch_size" not in options else _Originals(dataset),
            "num_workers": workers,
            "persistent_workers": "batch_size" not in options,
            "multiprocessing_context": start_method,
        },
    )


def _as_it_is(sample: Sample | SkippedImage) -> Sample | SkippedImage:
    return sample


def _default_start_method() -> str:
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


def default_workers(device_type: str) -> int:
    """How many processes load images by default, from the cores this process may use.

    Beside a GPU: one less than the cores, at most 8. Where the network runs on the CPU itself, its threads keep all
    cores busy, and a worker that takes a core from one of them makes all of them wait: a quarter of the cores, so
    none on one to three.

    Args:
        device_type: `cpu`, `cuda` or `mps`.
    """
    available = available_cores()
    wanted = available // 4 if device_type == "cpu" else max(1, available - 1)
    return min(_MAX_DEFAULT_WORKERS, wanted)


def collate(samples: list[Sample | SkippedImage]) -> Batch:
    """Stack what could be read; all images of a batch have the same size. An all-bad batch has length 0."""
    good = [sample for sample in samples if isinstance(sample, Sample)]
    images = torch.zeros(0, 3, 0, 0, dtype=torch.uint8)
    if good:
        # the bytes stay as they lie, height-width-channel: that is torch's channels-last; and torch's own function
        # writes them straight into shared memory where this is a worker
        images = default_collate([torch.from_numpy(sample.image) for sample in good]).permute(0, 3, 1, 2)
    return Batch(
        images=images,
        targets=Targets.from_ground_truths([sample.ground_truth for sample in good]),
        indices=tuple(sample.index for sample in good),
        geometries=tuple(sample.geometry for sample in good),
        skipped=tuple(sample for sample in samples if isinstance(sample, SkippedImage)),
        notes=tuple(sample.note for sample in good if sample.note is not None),
    )
