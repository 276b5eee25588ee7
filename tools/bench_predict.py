"""The whole command `gridyolo predict` on photos and on a video, the network and suppression alone, and the peer.

    python tools/bench_predict.py --weights best.safetensors [--photos FOLDER] [--rounds 3] [--peer PYTHON]
        [--parts photos,video,network,suppression] [--json FILE]

Medians of the rounds, in which all take turns. With --peer, the Python of an environment with `ultralytics` (AGPL; a
program of its own that nothing here is linked with), the prediction of its yolov8n with random weights at 320 pixels.

photos: the command without pictures and with pictures; the first again beside one busy process; the command on one
photo, which is the start-up. Without --photos, 500 pictures of 640 x 480 are drawn.
video: 1,000 frames of 1280 x 720 are drawn; the command writes the video with boxes. The peak of memory is that of the
process, after 100 frames and after all of them.
network: on ready tensors at several batch sizes.
suppression: 64 images with 392 boxes of 20 classes each, in one call, and with a call of torchvision for each
image and for each class.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("photos", "video", "network", "suppression")
SIZE_HW = (720, 1280)
EARLY = 100  # frames, after which memory is measured first
# Runs in the peer's environment: source, folder for results, whether pictures are wanted, after how many images to end.
_PEER = """
import sys
from ultralytics import YOLO
source, folder, save, limit = sys.argv[1:]
for number, _ in enumerate(YOLO("yolov8n.yaml").predict(source, imgsz=320, stream=True, save=save == "save",
                                                        project=folder, device="cpu", verbose=False), 1):
    if number == int(limit):
        break
"""


@dataclass(frozen=True)
class Run:
    """A process that has ended."""

    seconds: float
    peak: int  # bytes of memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--photos", default="", help="a folder of images; default: drawn")
    parser.add_argument("--count", type=int, default=500, help="how many photos are drawn")
    parser.add_argument("--frames", type=int, default=1000, help="how many frames the video has")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--peer", default="")
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    weights = Path(options.weights).absolute()
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts {','.join(unknown)}: the parts are {', '.join(PARTS)}")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        if "photos" in parts:
            found["photos"] = _photos(options, weights, Path(scratch))
        if "video" in parts:
            found["video"] = _video(options, weights, Path(scratch))
    # in this process, and last: a new process counts the memory of the one that starts it
    if "network" in parts:
        found["network"] = _network(weights, found.get("photos"))
    if "suppression" in parts:
        found["suppression"] = _suppression(options.rounds)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2), encoding="utf-8")


def _photos(options: argparse.Namespace, weights: Path, folder: Path) -> dict[str, Any]:
    photos = Path(options.photos).absolute() if options.photos else _draw_photos(folder / "photos", options.count)
    count = sum(1 for _ in photos.iterdir())
    one = next(photos.iterdir())
    contenders: dict[str, Callable[[], Run]] = {
        "without pictures": lambda: _ours(weights, photos, folder, "--no-save-images"),
        "with pictures": lambda: _ours(weights, photos, folder),
        "beside a busy process": lambda: _beside(lambda: _ours(weights, photos, folder, "--no-save-images")),
        "one photo": lambda: _ours(weights, one, folder, "--no-save-images"),
    }
    if options.peer:
        contenders["peer, without pictures"] = lambda: _peer(options.peer, photos, folder, "no")
        contenders["peer, with pictures"] = lambda: _peer(options.peer, photos, folder, "save")
    runs = _in_turns(contenders, options.rounds)
    print(f"{count} photos, medians of {options.rounds} rounds")
    for name, found in runs.items():
        _print_run(name, found, 1 if name == "one photo" else count)
    return {"count": count, "seconds": {name: [run.seconds for run in found] for name, found in runs.items()}}


def _video(options: argparse.Namespace, weights: Path, folder: Path) -> dict[str, Any]:
    video, early = _draw_video(folder / "video.mp4", options.frames), min(EARLY, options.frames)
    contenders: dict[str, Callable[[], Run]] = {
        f"{early} frames": lambda: _ours(weights, video, folder, "--limit", str(early)),
        f"{options.frames} frames": lambda: _ours(weights, video, folder),
    }
    if options.peer:
        contenders[f"peer, {early} frames"] = lambda: _peer(options.peer, video, folder, "save", early)
        contenders[f"peer, {options.frames} frames"] = lambda: _peer(options.peer, video, folder, "save")
    runs = _in_turns(contenders, options.rounds)
    print(f"video of {SIZE_HW[1]} x {SIZE_HW[0]} with boxes, medians of {options.rounds} rounds")
    for name, found in runs.items():
        _print_run(name, found, early if name.endswith(f"{early} frames") else options.frames)
    return {name: [asdict(run) for run in found] for name, found in runs.items()}


def _in_turns(contenders: Mapping[str, Callable[[], Run]], rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            runs[name].append(run())
    return runs


def _print_run(name: str, runs: Sequence[Run], count: int) -> None:
    seconds = statistics.median(run.seconds for run in runs)
    peak = statistics.median(run.peak for run in runs) / 2**20
    print(f"{name:<26}{seconds:8.1f} s{count / seconds:9.1f} images/s{peak:8.0f} MiB")


def _network(weights: Path, photos: Mapping[str, Any] | None) -> dict[int, float]:
    rates = _network_alone(weights)
    batch, rate = max(rates.items(), key=lambda pair: pair[1])
    print(f"{'network alone':<26}{'':>10}{rate:9.1f} images/s, batch {batch}")
    if photos is not None:
        medians = {name: statistics.median(seconds) for name, seconds in photos["seconds"].items()}
        busy = photos["count"] / (medians["without pictures"] - medians["one photo"])
        print(f"without pictures, start-up not counted: {busy:.1f} images/s, {busy / rate:.0%} of the network alone")
    return rates


def _draw_photos(folder: Path, count: int) -> Path:
    """JPEGs of 640 x 480 with the detail and the noise of photos."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC) + generator.normal(0, 6, (480, 640, 3))
        cv2.imwrite(str(folder / f"{number:04}.jpg"), image.clip(0, 255).astype(np.uint8))
    return folder


def _draw_video(path: Path, count: int) -> Path:
    """A video of 25 frames a second, in which a view with detail moves over a larger picture."""
    height, width = SIZE_HW
    coarse = np.random.default_rng(0).integers(0, 255, (height // 4, width // 4, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (width, height))
    for number in range(count):
        top, left = (3 * number) % height, (4 * number) % width
        writer.write(picture[top : top + height, left : left + width])
    writer.release()
    return path


def _ours(weights: Path, source: Path, folder: Path, *words: str) -> Run:
    command = ["-m", "yolo", "predict", "--weights", str(weights), "--source", str(source), "--runs", str(folder)]
    return _timed([sys.executable, *command, "--device", "cpu", *words])


def _peer(python: str, source: Path, folder: Path, save: str, limit: int = 0) -> Run:
    words = [str(source), str(folder), save, str(limit)]
    return _timed([python, "-c", _PEER, *words], YOLO_CONFIG_DIR=str(folder), YOLO_OFFLINE="true")


def _timed(command: list[str], **variables: str) -> Run:
    began = time.monotonic()
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(time.monotonic() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def _beside(run: Callable[[], Run]) -> Run:
    with _busy_process():
        return run()


@contextmanager
def _busy_process() -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _spin() -> None:
    while True:
        pass


def _network_alone(weights: Path) -> dict[int, float]:
    """Images per second of the fused network by batch size, with torch's own number of threads."""
    import torch

    from yolo.engine.detector import open_detector
    from yolo.models.fusion import fuse

    network, metadata = open_detector(weights)
    fused = fuse(network)
    rates = {}
    with torch.inference_mode():
        for batch in (1, 4, 8, 16, 32):
            images = torch.randint(0, 255, (batch, 3, *metadata.input_hw), dtype=torch.uint8)
            fused(images)
            took = []
            for _ in range(5):
                began = time.monotonic()
                fused(images)
                took.append(time.monotonic() - began)
            rates[batch] = batch / statistics.median(took)
    return rates


def _suppression(rounds: int) -> dict[str, list[float]]:
    """Milliseconds for a batch on one thread, as workers have it; all ways keep the same."""
    import torch
    from torchvision.ops import batched_nms, nms

    from yolo.postprocess.suppression import suppress_batch

    torch.set_num_threads(1)
    images, count, num_classes, iou_threshold = 64, 392, 20, 0.5
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(images, count, 2, generator=generator) * 400
    boxes = torch.cat([low, low + 20 + 200 * torch.rand(images, count, 2, generator=generator)], dim=-1)
    scores = torch.rand(images, count, generator=generator).sort(descending=True).values
    labels = torch.randint(num_classes, (images, count), generator=generator)

    def ours() -> list[torch.Tensor]:
        return suppress_batch(
            boxes.flatten(0, 1), scores.flatten(), labels.flatten(), [count] * images,
            iou_threshold=iou_threshold, max_detections=count,
        )  # fmt: skip

    def each_image() -> list[torch.Tensor]:
        columns = zip(boxes, scores, labels, strict=True)
        return [batched_nms(*column, iou_threshold) + start * count for start, column in enumerate(columns)]

    def each_class() -> list[torch.Tensor]:
        kept = []
        for start, (own_boxes, own_scores, own_labels) in enumerate(zip(boxes, scores, labels, strict=True)):
            members = [torch.nonzero(own_labels == label).flatten() for label in range(num_classes)]
            found = [index[nms(own_boxes[index], own_scores[index], iou_threshold)] for index in members]
            kept.append(torch.cat(found).sort().values + start * count)
        return kept

    ways = {
        "suppression of a batch": ours,
        "torchvision, each image": each_image,
        "torchvision, each class": each_class,
    }
    for way in ways.values():
        assert all(torch.equal(a, b) for a, b in zip(ours(), way(), strict=True))
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(10 * rounds):
        for name, way in ways.items():
            began = time.monotonic()
            way()
            took[name].append(1000 * (time.monotonic() - began))
    print(f"{images} images x {count} boxes x {num_classes} classes, medians of {10 * rounds}")
    for name, values in took.items():
        print(f"{name:<26}{statistics.median(values):8.2f} ms")
    return took


if __name__ == "__main__":
    main()
