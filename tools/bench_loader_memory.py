"""Memory of a training's loader, epoch after epoch, on a large dataset: it must not grow.

    python tools/bench_loader_memory.py [--images 100000] [--boxes 1000000] [--workers 4] [--epochs 10]

The dataset is made in a temporary folder: hard links to a few small JPEGs, with random boxes, in flat arrays as the
readers make them. After each epoch, in MB: the anonymous and shared memory of this process and all its workers, what
several have in common counted once, and the largest share of a worker. Pages of libraries are left out: how they are
shared changes with whatever else the machine runs. Linux only.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
import warnings
from pathlib import Path

import cv2
import numpy as np

from yolo.config import AugmentConfig
from yolo.data.dataset import DetectionDataset
from yolo.data.loader import TrainBatches, make_loader
from yolo.formats.objects import AnnotatedImages, StringArray
from yolo.structures import GroundTruth
from yolo.transforms.augment import TrainTransform

SIDE = 96  # pixels of each image
NUM_FILES = 100  # file systems limit the links to one file
BATCH = 32


def make_dataset(folder: Path, *, num_images: int, num_boxes: int) -> AnnotatedImages:
    generator = np.random.default_rng(0)
    paths: list[Path] = []
    for number in range(num_images):
        path = folder / f"{number // 1000:04d}" / f"{number:07d}.jpg"
        if number % 1000 == 0:
            path.parent.mkdir()
        if number < NUM_FILES:
            cv2.imwrite(str(path), generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
        else:
            os.link(paths[number % NUM_FILES], path)
        paths.append(path)
    owners = np.sort(generator.integers(0, num_images, num_boxes))
    corners = generator.uniform(0, SIDE / 2, (num_boxes, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(4, SIDE / 2, (num_boxes, 2))], axis=1)
    return AnnotatedImages(
        image_ids=StringArray(path.stem for path in paths),
        paths=StringArray(map(str, paths)),
        sizes_hw=np.full((num_images, 2), SIDE, np.int32),
        offsets=np.searchsorted(owners, np.arange(num_images + 1)).astype(np.int64),
        objects=GroundTruth.from_boxes(boxes, generator.integers(0, 20, num_boxes)),
    )


def memory_mb() -> tuple[float, float]:
    """Of this process and its workers together, and the most of a worker."""
    workers = [process.pid for process in multiprocessing.active_children()]
    each = [proportional_mb(pid) for pid in (os.getpid(), *workers)]
    return sum(each), max(each[1:], default=0.0)


def proportional_mb(pid: int | None) -> float:
    """The proportional set size of a process without pages of files."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:"))) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--input-size", type=int, default=64)
    options = parser.parse_args()
    # more workers than cores are the point
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    with tempfile.TemporaryDirectory() as temporary:
        images = make_dataset(Path(temporary), num_images=options.images, num_boxes=options.boxes)
        size_hw = (options.input_size,) * 2
        augment = TrainTransform(AugmentConfig(mosaic=1.0))
        dataset = DetectionDataset(images, input_hw=size_hw, resize="letterbox", augment=augment)
        plan = TrainBatches(len(images), BATCH, seed=0, with_mosaic=lambda epoch: True)
        print(f"{len(images)} images, {len(images.objects)} boxes, {options.workers} workers, {size_hw[0]} px")
        print(f"{'epoch':>5} {'all MB':>8} {'a worker':>8} {'seconds':>8} {'images/s':>9}")
        batches = iter(make_loader(dataset, plan, workers=options.workers))
        for epoch in range(options.epochs):
            began = time.perf_counter()
            for _ in range(plan.steps_per_epoch):
                next(batches)
            seconds = time.perf_counter() - began
            together, largest = memory_mb()
            rate = len(images) / seconds
            print(f"{epoch + 1:>5} {together:>8.0f} {largest:>8.0f} {seconds:>8.1f} {rate:>9.0f}", flush=True)


if __name__ == "__main__":
    main()
