"""The whole command `gridyolo predict` on photos, the network alone, and the peer, in turns.

    python tools/bench_predict.py --weights best.safetensors [--photos FOLDER] [--rounds 3] [--peer PYTHON]
        [--json FILE]

Rows, medians of the rounds in seconds and images per second: the command without pictures and with pictures; the
first again beside one busy process; the command on one photo, which is the start-up; with --peer, the Python of an
environment that has `ultralytics` (AGPL; a program of its own that nothing here is linked with), the prediction of its
yolov8n with random weights at 320 pixels. Without --photos, 500 pictures of 640 x 480 are drawn. The network alone is
measured last, on ready tensors at its best batch.

Left out: video, memory, suppression alone.
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
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
# Runs in the peer's environment: folder of photos, folder for results, whether pictures are wanted.
_PEER = """
import sys
from ultralytics import YOLO
photos, folder, save = sys.argv[1:]
for _ in YOLO("yolov8n.yaml").predict(photos, imgsz=320, stream=True, save=save == "save", project=folder, device="cpu",
                                      verbose=False):
    pass
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--photos", default="", help="a folder of images; default: drawn")
    parser.add_argument("--count", type=int, default=500, help="how many photos are drawn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", default="")
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        photos = Path(options.photos).absolute() if options.photos else _draw_photos(folder / "photos", options.count)
        count = sum(1 for _ in photos.iterdir())
        one = next(photos.iterdir())
        weights = Path(options.weights).absolute()
        contenders: dict[str, Callable[[], float]] = {
            "without pictures": lambda: _ours(weights, photos, folder, "--no-save-images"),
            "with pictures": lambda: _ours(weights, photos, folder),
            "beside a busy process": lambda: _beside(lambda: _ours(weights, photos, folder, "--no-save-images")),
            "one photo": lambda: _ours(weights, one, folder, "--no-save-images"),
        }
        if options.peer:
            contenders["peer, without pictures"] = lambda: _peer(options.peer, photos, folder, "no")
            contenders["peer, with pictures"] = lambda: _peer(options.peer, photos, folder, "save")
        seconds: dict[str, list[float]] = defaultdict(list)
        for _ in range(options.rounds):
            for name, run in contenders.items():
                seconds[name].append(run())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{count} photos, medians of {options.rounds} rounds")
    for name, median in medians.items():
        print(f"{name:<26}{median:8.1f} s{(1 if name == 'one photo' else count) / median:9.1f} images/s")
    alone = _network_alone(weights)
    batch, rate = max(alone.items(), key=lambda pair: pair[1])
    print(f"{'network alone':<26}{'':>10}{rate:9.1f} images/s, batch {batch}")
    busy = count / (medians["without pictures"] - medians["one photo"])
    print(f"without pictures, start-up not counted: {busy:.1f} images/s, {busy / rate:.0%} of the network alone")
    if options.json:
        found = {"photos": count, "seconds": seconds, "network_alone": alone}
        Path(options.json).write_text(json.dumps(found, indent=2), encoding="utf-8")


def _draw_photos(folder: Path, count: int) -> Path:
    """JPEGs of 640 x 480 with the detail and the noise of photos."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC) + generator.normal(0, 6, (480, 640, 3))
        cv2.imwrite(str(folder / f"{number:04}.jpg"), image.clip(0, 255).astype(np.uint8))
    return folder


def _ours(weights: Path, source: Path, folder: Path, *words: str) -> float:
    command = ["-m", "yolo", "predict", "--weights", str(weights), "--source", str(source), "--runs", str(folder)]
    return _timed([sys.executable, *command, "--device", "cpu", *words])


def _peer(python: str, photos: Path, folder: Path, save: str) -> float:
    return _timed(
        [python, "-c", _PEER, str(photos), str(folder), save], YOLO_CONFIG_DIR=str(folder), YOLO_OFFLINE="true"
    )


def _timed(command: list[str], **variables: str) -> float:
    began = time.monotonic()
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def _beside(run: Callable[[], float]) -> float:
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


if __name__ == "__main__":
    main()
