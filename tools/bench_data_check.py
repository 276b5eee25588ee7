"""How fast `gridyolo data check` is, and how much memory it takes: images per second and peak RSS by dataset size.

    python tools/bench_data_check.py [--sizes 2500 5000 10000] [--workers 2] [--folder DIR]

Makes different JPEGs of 640 x 480 by cutting them out of larger drawn scenes, with 13 boxes each, in YOLO layout; of
these each size takes the first. The time is that of the whole command; the memory is the peak of its main process
and that of the largest worker. The pictures are removed at the end unless their folder was named.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from yolo.curate.synthetic import draw_scene
from yolo.randomness import sample_generator

HEIGHT, WIDTH, SCENE_SIDE, NUM_SCENES, NUM_BOXES = 480, 640, 1400, 40, 13
QUALITY = 88
NAMES = ("a", "b", "c")
COLUMNS = ("images", "seconds", "images/s", "cpu ms", "parent", "worker", "page MB", "duplicates")


def make_images(folder: Path, count: int) -> None:
    """images/train and images/val with every tenth image, and their labels."""
    scenes = [draw_scene((SCENE_SIDE, SCENE_SIDE), sample_generator(0, 0, k)).image for k in range(NUM_SCENES)]
    generator = np.random.default_rng(0)
    for index in range(count):
        split = "val" if index % 10 == 9 else "train"
        top, left = generator.integers(0, (SCENE_SIDE - HEIGHT, SCENE_SIDE - WIDTH)).tolist()
        crop = scenes[index % NUM_SCENES][top : top + HEIGHT, left : left + WIDTH]
        crop = crop[:, ::-1] if generator.random() < 0.5 else crop
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(crop)).save(buffer, "JPEG", quality=QUALITY)
        (folder / "images" / split / f"{index:06}.jpg").write_bytes(buffer.getvalue())
        centres, sides = generator.uniform(0.2, 0.8, (NUM_BOXES, 2)), generator.uniform(0.05, 0.3, (NUM_BOXES, 2))
        rows = zip(generator.integers(0, len(NAMES), NUM_BOXES), centres.tolist(), sides.tolist(), strict=True)
        lines = [f"{label} {x:.5f} {y:.5f} {w:.5f} {h:.5f}\n" for label, (x, y), (w, h) in rows]
        (folder / "labels" / split / f"{index:06}.txt").write_text("".join(lines))


def describe(folder: Path, count: int) -> Path:
    """A dataset of the first `count` images, by lists."""
    for split in ("train", "val"):
        paths = sorted((folder / "images" / split).glob("*.jpg"))
        lines = [f"./images/{split}/{path.name}\n" for path in paths if int(path.stem) < count]
        (folder / f"{split}-{count}.txt").write_text("".join(lines))
    yaml = folder / f"first-{count}.yaml"
    yaml.write_text(f"path: .\ntrain: train-{count}.txt\nval: val-{count}.txt\nnames: [{', '.join(NAMES)}]\n")
    return yaml


def measure(yaml: Path, count: int, workers: int) -> None:
    """Check once by the command line, as users do, and print a row."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "yolo", "data", "check", "--data", str(yaml), "--runs", runs]
        began, used = time.perf_counter(), cpu_seconds()
        process = subprocess.Popen([*command, "--workers", str(workers)], stdout=subprocess.DEVNULL)
        peaks: dict[int, float] = {}
        while process.poll() is None:
            for pid in (process.pid, *children_of(process.pid)):
                # the latest: before a new process has begun its program, it counts the memory of its parent
                peaks[pid] = peak_mb(pid) or peaks.get(pid, 0.0)
            time.sleep(0.1)
        seconds, used = time.perf_counter() - began, cpu_seconds() - used
        folder = Path(runs, "check")
        size = (folder / "check.html").stat().st_size / 1e6
        kinds = json.loads((folder / "check.json").read_text())["kinds"]
    near = sum(kind["count"] for name, kind in kinds.items() if "duplicate" in name)
    parent, worker = peaks.pop(process.pid), max(peaks.values(), default=0.0)
    row = (count, seconds, count / seconds, 1000 * used / count, parent, worker, size, near)
    print("".join(f"{value:>12.6g}" for value in row), flush=True)


def cpu_seconds() -> float:
    """Used so far by processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def children_of(pid: int) -> list[int]:
    """Processes that a process has started; Linux only."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended
        return []


def peak_mb(pid: int) -> float:
    """Largest resident memory of a process so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0][1]) / 1024 if lines else 0.0


def main(sizes: Sequence[int], workers: int, folder: Path) -> None:
    """Make the images, measure each size."""
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
    if not any((folder / "images" / "train").iterdir()):
        make_images(folder, max(sizes))
    print(f"{workers} workers of {os.cpu_count()} cores; cpu ms: per image, of all processes; memory in MB")
    print("".join(f"{name:>12}" for name in COLUMNS))
    for count in sizes:
        measure(describe(folder, count), count, workers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2500, 5000, 10000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(arguments.sizes, arguments.workers, arguments.folder or Path(temporary))
