"""The training loader, in images per second, and beside it another detector's own, in turns on the same images.

    python tools/bench_loader.py [--peer-python PATH] [--sizes 320 640] [--workers 2] [--seconds 8] [--rounds 3]

Images of 640 to 2000 px on the longer side (JPEG, quality 90, 4:2:0) are made in a temporary folder. Both loaders do
mosaic, scale, shift, flip and hue-saturation-value on every image and give batches of 16 as bytes. `--peer-python` is
an interpreter that has the peer (ultralytics) installed; it is called through its public functions only. Each
measurement is a process of its own that passes once over all images first; `ram` keeps resized images in memory.
Before that: what the stages of our pipeline take, one process, milliseconds per image.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from yolo.config import AugmentConfig
from yolo.data.cache import ImageFile, MemoryCache, read_placed
from yolo.data.dataset import DetectionDataset, SampleKey
from yolo.data.loader import TrainBatches, collate, make_loader
from yolo.formats.objects import AnnotatedImages
from yolo.images import read_size
from yolo.structures import AnnotatedImage, GroundTruth, Sample
from yolo.transforms.augment import ColourChange, TrainTransform, change_colours
from yolo.transforms.crop import WarpParams
from yolo.transforms.mixing import mosaic

BATCH = 16
OBJECTS = 8
AUGMENT = AugmentConfig(mosaic=1.0, scale=0.5, translate=0.1, flip_horizontal=0.5, hue=0.015, saturation=0.7, value=0.4)

# processor seconds of a process and its workers so far
CPU_SECONDS = """
import multiprocessing, os

def cpu_seconds():
    total = sum(os.times()[:2])
    for worker in multiprocessing.active_children():
        with open(f"/proc/{worker.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total
"""

# runs in the peer's interpreter; arguments: folder, size, cache, seconds, workers, batch
PEER = (
    CPU_SECONDS
    + """
import sys, time
from ultralytics.cfg import get_cfg
from ultralytics.data.build import build_dataloader, build_yolo_dataset

folder, size, cache, seconds, workers, batch = sys.argv[1:]
options = {"imgsz": int(size), "mosaic": 1.0, "scale": 0.5, "translate": 0.1, "fliplr": 0.5, "hsv_h": 0.015,
           "hsv_s": 0.7, "hsv_v": 0.4, "cache": cache == "ram" and "ram", "task": "detect"}
data = {"names": {0: "a", 1: "b"}, "nc": 2, "channels": 3, "path": folder}
images = build_yolo_dataset(get_cfg(overrides=options), folder + "/images", int(batch), data, mode="train")
loader = build_dataloader(images, int(batch), int(workers), shuffle=True)
for _ in loader:
    pass
began, cpu, seen = time.perf_counter(), cpu_seconds(), 0
while True:
    for found in loader:
        assert tuple(found["img"].shape[1:]) == (3, int(size), int(size)) and found["img"].element_size() == 1
        seen += len(found["img"])
        if time.perf_counter() - began > float(seconds):
            print("RATE", seen / (time.perf_counter() - began), 1000 * (cpu_seconds() - cpu) / seen)
            sys.exit()
"""
)


def photo(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Something like a photograph: detail at every scale, shapes with edges, and the noise of a sensor."""
    image = np.full((height, width, 3), 128, np.float32)
    longer, octave = max(height, width), 4
    while octave < longer:
        rows, cols = max(2, height * octave // longer), max(2, width * octave // longer)
        detail = generator.normal(0, 44 / octave**0.75, (rows, cols, 3)).astype(np.float32)
        image += cv2.resize(detail, (width, height), interpolation=cv2.INTER_CUBIC)
        octave *= 2
    for _ in range(12):
        shape = np.zeros((height, width), np.uint8)
        centre = (int(generator.integers(width)), int(generator.integers(height)))
        axes = (int(generator.integers(20, width // 4)), int(generator.integers(20, height // 4)))
        cv2.ellipse(shape, centre, axes, float(generator.uniform(0, 180)), 0, 360, 1, -1)
        image[shape > 0] = image[shape > 0] * 0.4 + generator.uniform(0, 255, 3).astype(np.float32) * 0.6
    image += generator.normal(0, 4, image.shape)
    return image.clip(0, 255).astype(np.uint8)


def make_dataset(folder: Path, *, num_files: int, num_images: int) -> float:
    """YOLO layout: `num_images` entries, hard links to `num_files` different images; returns bits per pixel."""
    generator = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    flags = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    size_bits, pixels = 0, 0
    for number in range(num_images):
        path = folder / "images" / f"{number:06d}.jpg"
        if number < num_files:
            longer = int(generator.integers(640, 2001))
            sides = (int(longer * generator.choice([0.5625, 0.667, 0.75])), longer)
            height, width = sides if generator.uniform() < 0.7 else sides[::-1]
            cv2.imwrite(str(path), photo(generator, height, width), flags)
            size_bits, pixels = size_bits + 8 * path.stat().st_size, pixels + height * width
        else:
            os.link(folder / "images" / f"{number % num_files:06d}.jpg", path)
        rows = np.concatenate(
            [generator.uniform(0.3, 0.7, (OBJECTS, 2)), generator.uniform(0.05, 0.5, (OBJECTS, 2))], 1
        )
        text = "\n".join(f"{k % 2} " + " ".join(f"{value:.5f}" for value in row) for k, row in enumerate(rows))
        (folder / "labels" / f"{number:06d}.txt").write_text(text)
    return size_bits / pixels


def read_dataset(folder: Path) -> AnnotatedImages:
    images = []
    for path in sorted((folder / "images").iterdir()):
        height, width = read_size(path)
        rows = np.loadtxt(folder / "labels" / f"{path.stem}.txt").reshape(-1, 5)
        x, y, w, h = rows[:, 1:].T
        corners = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1).clip(0, 1)
        truth = GroundTruth.from_boxes(corners * (width, height, width, height), rows[:, 0])
        images.append(AnnotatedImage(path.stem, path, (height, width), truth))
    return AnnotatedImages.of(images)


def our_dataset(folder: Path, size: int, cache: str) -> DetectionDataset:
    images = read_dataset(folder)
    kept = MemoryCache(len(images), (size, size), limit_mb=8000) if cache == "ram" else None
    transform = TrainTransform(AUGMENT)
    return DetectionDataset(images, input_hw=(size, size), resize="letterbox", augment=transform, cache=kept)


def our_rate(folder: Path, size: int, cache: str, seconds: float, workers: int) -> tuple[float, float]:
    """Images per second of our loader and processor milliseconds per image, after one pass over the images."""
    scope: dict[str, Callable[[], float]] = {}
    exec(CPU_SECONDS, scope)
    cpu_seconds = scope["cpu_seconds"]
    dataset = our_dataset(folder, size, cache)
    plan = TrainBatches(len(dataset), BATCH, seed=0, with_mosaic=lambda epoch: True)
    batches = iter(make_loader(dataset, plan, workers=workers))
    for _ in range(plan.steps_per_epoch):
        next(batches)
    began, cpu, seen = time.perf_counter(), cpu_seconds(), 0
    while time.perf_counter() - began < seconds:
        batch = next(batches)
        assert batch.images.shape[1:] == (3, size, size)
        assert not batch.skipped
        seen += len(batch)
    return seen / (time.perf_counter() - began), 1000 * (cpu_seconds() - cpu) / seen


def rate_of(command: Sequence[str]) -> tuple[float, float]:
    """What a process prints after RATE: images per second, processor milliseconds per image."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RATE ")]
    if not lines:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    rate, cpu_ms = lines[-1].split()[1:]
    return float(rate), float(cpu_ms)


def stages(folder: Path, size: int) -> dict[str, float]:
    """Milliseconds per image of each stage, in this process."""
    dataset = our_dataset(folder, size, "none")
    indices = range(min(64, len(dataset)))
    files = [ImageFile(k, dataset.images[k].path, dataset.images[k].size_hw) for k in indices]
    placed = [dataset.load(k) for k in indices]
    groups = [[placed[(k + other) % len(placed)] for other in range(4)] for k in indices]
    colours = ColourChange(hue=0.01, saturation=1.3, value=0.9)
    keys = [SampleKey(0, k, True, 0, tuple((k // 8 * 8 + other) % len(placed) for other in range(4))) for k in indices]

    def each(function: Callable[[int], object]) -> float:
        began = time.perf_counter()
        for k in indices:
            function(k)
        return 1000 * (time.perf_counter() - began) / len(indices)

    def fresh(k: int) -> ImageFile:
        return ImageFile(k, files[k].path, files[k].size_hw)

    def place(k: int, *, may_reduce: bool) -> object:
        return read_placed(fresh(k), (size, size), "letterbox", may_reduce=may_reduce)

    samples: list[Sample] = placed
    return {
        "read the file": each(lambda k: fresh(k).data),
        "read, decode in full, resize": each(lambda k: place(k, may_reduce=False)),
        "read, decode reduced, resize": each(lambda k: place(k, may_reduce=True)),
        "mosaic": each(lambda k: mosaic(groups[k], np.random.default_rng(k), scale=0.5, limits=WarpParams())),
        "mosaic with rotation": each(
            lambda k: mosaic(groups[k], np.random.default_rng(k), scale=0.5, limits=WarpParams(degrees=10))
        ),
        "hue, saturation, value": each(lambda k: change_colours(samples[k].image, colours)),
        "collate": each(lambda k: collate(list(samples[k : k + 8]))) / 8,
        "all of it": each(lambda k: dataset.__getitems__(keys[k : k + 8]) if k % 8 == 0 else None),
    }


def compare(folder: Path, options: argparse.Namespace) -> None:
    print(f"images per second, and processor ms per image in all processes; medians of {options.rounds} rounds")
    print(f"{'px':>4} {'cache':>6} {'ours/s':>9} {'peer/s':>9} {'ratio':>7} {'our ms':>9} {'peer ms':>9} {'ratio':>7}")
    for size in options.sizes:
        for cache in options.caches:
            tail = [str(folder), str(size), cache, str(options.seconds), str(options.workers)]
            ours: list[tuple[float, float]] = []
            peers: list[tuple[float, float]] = []
            for _ in range(options.rounds):
                ours.append(rate_of([sys.executable, __file__, "--measure", *tail]))
                if options.peer_python:
                    peers.append(rate_of([options.peer_python, "-c", PEER, *tail, str(BATCH)]))
            own, own_ms = map(statistics.median, zip(*ours, strict=True))
            peer, peer_ms = map(statistics.median, zip(*(peers or [(math.nan, math.nan)]), strict=True))
            print(
                f"{size:>4} {cache:>6} {own:>9.0f} {peer:>9.0f} {own / peer:>6.2f}x "
                f"{own_ms:>9.2f} {peer_ms:>9.2f} {peer_ms / own_ms:>6.2f}x",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter that has ultralytics")
    parser.add_argument("--sizes", nargs="+", type=int, default=[320, 640])
    parser.add_argument("--caches", nargs="+", choices=("none", "ram"), default=["none", "ram"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=150, help="different images")
    parser.add_argument("--images", type=int, default=1500, help="entries of the dataset, links to those files")
    parser.add_argument("--folder", type=Path, help="keep the images there, and use them again")
    parser.add_argument("--no-stages", dest="stages", action="store_false")
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        folder, size, cache, seconds, workers = options.measure
        print("RATE", *our_rate(Path(folder), int(size), cache, float(seconds), int(workers)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "set"
        if not folder.exists():
            bits = make_dataset(folder, num_files=options.files, num_images=options.images)
            print(f"{options.files} images made, {bits:.2f} bits per pixel")
        for size in options.sizes if options.stages else ():
            print(f"stages at {size} px, ms per image:")
            for name, value in stages(folder, size).items():
                print(f"  {name:<32}{value:7.2f}")
        compare(folder, options)


if __name__ == "__main__":
    main()
