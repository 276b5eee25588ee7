"""Batches for training and validation from torch's DataLoader, in an order that only (seed, epoch) decide."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from yolo.data.dataset import DetectionDataset, SampleKey
from yolo.randomness import epoch_order
from yolo.structures import Batch, Sample, SkippedImage, Targets

_MAX_DEFAULT_WORKERS = 8


class TrainBatches(Sampler[list[SampleKey]]):
    """Keys of all batches of a training, epoch after epoch, without a pause between epochs.

    Args:
        num_images: length of the dataset.
        batch_size: images per batch; the last batch of an epoch may be smaller.
        seed: of the run.
        start: (epoch, step in the epoch) to begin with, for a resumed run.
        with_mosaic: asked once per epoch.
        replacement: draw every image anew, and fill the last batch (darknet), where an epoch otherwise visits each
            image once.
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        *,
        seed: int,
        start: tuple[int, int] = (0, 0),
        with_mosaic: Callable[[int], bool],
        replacement: bool = False,
    ) -> None:
        self.num_images = num_images
        self.batch_size = batch_size
        self.seed = seed
        self.start = start
        self.with_mosaic = with_mosaic
        self.replacement = replacement

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
            mosaic = self.with_mosaic(epoch)
            drawn: Counter[int] = Counter()
            keys = []
            for index in order.tolist():
                keys.append(SampleKey(epoch, index, mosaic, drawn[index]))
                drawn[index] += 1
            for step in range(first_step, self.steps_per_epoch):
                yield keys[step * self.batch_size : (step + 1) * self.batch_size]
            epoch, first_step = epoch + 1, 0


class EvaluationBatches(Sampler[list[SampleKey]]):
    """Keys of every image once, in order."""

    def __init__(self, num_images: int, batch_size: int) -> None:
        self.num_images = num_images
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-self.num_images // self.batch_size)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        for start in range(0, self.num_images, self.batch_size):
            yield [SampleKey(0, index) for index in range(start, min(start + self.batch_size, self.num_images))]


def make_loader(
    dataset: DetectionDataset, batches: Sampler[list[SampleKey]], *, workers: int, pin_memory: bool = False
) -> DataLoader[Batch]:
    """A DataLoader over `batches`; with 0 workers it loads in this process."""
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # the loader's type is what `collate` makes of samples
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        # it draws a seed for its workers, which ours ignore; from the global stream it would disturb a resumed run
        generator=torch.Generator(),
        pin_memory=pin_memory,
        worker_init_fn=_prepare_worker if workers else None,
        persistent_workers=workers > 0,
        multiprocessing_context=_context() if workers else None,
    )


def default_workers(device_type: str) -> int:
    """How many processes load images by default, from the cores this process may use.

    Beside a GPU: one less than the cores, at most 8. Where the network runs on the CPU itself, its threads keep all
    cores busy, and a worker that takes a core from one of them makes all of them wait: a quarter of the cores, so
    none on one to three.

    Args:
        device_type: `cpu`, `cuda` or `mps`.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = available // 4 if device_type == "cpu" else max(1, available - 1)
    return min(_MAX_DEFAULT_WORKERS, wanted)


def collate(samples: list[Sample | SkippedImage]) -> Batch:
    """Stack what could be read; all images of a batch have the same size. An all-bad batch has length 0."""
    good = [sample for sample in samples if isinstance(sample, Sample)]
    images = torch.zeros(0, 3, 0, 0, dtype=torch.uint8)
    if good:
        # the bytes stay as they lie, height-width-channel: that is torch's channels-last
        images = torch.from_numpy(np.stack([sample.image for sample in good])).permute(0, 3, 1, 2)
    return Batch(
        images=images,
        targets=Targets.from_ground_truths([sample.ground_truth for sample in good]),
        indices=tuple(sample.index for sample in good),
        geometries=tuple(sample.geometry for sample in good),
        skipped=tuple(sample for sample in samples if isinstance(sample, SkippedImage)),
    )


def _prepare_worker(worker: int) -> None:
    # Ctrl-C and a scheduler's SIGTERM reach every process of a job, and the training wants to save before it ends:
    # a worker goes on, or leaves without a fuss (torch raises in the training if a worker is killed)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    # the workers are the parallelism; more threads would only compete with them
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(0)


def _context() -> str:
    """Forked workers start at once and share the image cache; where there is no fork, spawn."""
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
