"""How long opening a large COCO dataset takes, and how much memory its boxes need, against plain `json.load`.

    python tools/bench_dataset_open.py --images 100000 --boxes 1000000

Makes the dataset in a temporary folder (small JPEGs of a few sizes under many names, by hard links) and measures each
in a fresh process: json.load on the annotation file; `find_dataset` and `read_split` on the same file. Both use one
core, so that the time of the processor is compared, which other programs disturb less than the clock. Ends with 1 if
opening takes more than 1.5 times as long, or keeps more than 150 bytes a box.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

RATIO, BYTES_PER_BOX = 1.5, 150
SIZES_HW = ((24, 32), (32, 24), (48, 64), (64, 64))
CLASSES = 80

MEASURE = """
import gc, json, resource, sys, time
from pathlib import Path

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

what, path = sys.argv[1], Path(sys.argv[2])
if what == "json":
    def work():
        with path.open(encoding="utf-8") as file:
            return json.load(file)
else:
    from yolo.data.read import find_dataset, read_split
    def work():
        return read_split(find_dataset(path), "val")
gc.collect()
before, start, busy = resident(), time.perf_counter(), time.process_time()
result = work()
seconds, busy = time.perf_counter() - start, time.process_time() - busy
gc.collect()
after = resident()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
boxes = len(result["annotations"]) if what == "json" else len(result.images.objects)
print(json.dumps({"seconds": seconds, "busy": busy, "grown": after - before, "peak": peak - before, "boxes": boxes}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many runs counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = make_dataset(Path(folder), arguments.images, arguments.boxes)
        print(f"{arguments.images} images, {arguments.boxes} boxes, {path.stat().st_size / 1e6:.0f} MB of JSON")
        plain = measure("json", path, arguments.repeats)
        opened = measure("open", path, arguments.repeats)
    ratio = opened["busy"] / plain["busy"]
    per_box = opened["grown"] / opened["boxes"]
    for name, result in (("json.load", plain), ("opening", opened)):
        print(
            f"{name:10} {result['busy']:6.2f} s of the processor ({result['seconds']:.2f} s by the clock), "
            f"{result['grown'] / result['boxes']:6.0f} bytes a box stay, "
            f"{result['peak'] / result['boxes']:6.0f} at the peak"
        )
    good = ratio <= RATIO and per_box <= BYTES_PER_BOX and opened["boxes"] == plain["boxes"] == arguments.boxes
    limits = f"ratio {ratio:.2f} (at most {RATIO}), {per_box:.0f} bytes a box (at most {BYTES_PER_BOX})"
    print(f"{limits}: {'good' if good else 'BAD'}")
    return 0 if good else 1


def make_dataset(root: Path, num_images: int, num_boxes: int) -> Path:
    """`val2017/` and `annotations/instances_val2017.json` under `root`."""
    import numpy as np

    from yolo.images import write_image

    draw = random.Random(0)
    folder = root / "val2017"
    folder.mkdir()
    seeds = []
    for number, size_hw in enumerate(SIZES_HW):
        seeds.append(root / f"seed{number}.jpg")
        write_image(seeds[-1], np.full((*size_hw, 3), 90, np.uint8))
    images = []
    for number in range(num_images):
        (height, width), seed = SIZES_HW[number % len(SIZES_HW)], seeds[number % len(SIZES_HW)]
        link(seed, folder / f"{number:012d}.jpg", number)
        images.append({"id": number, "file_name": f"{number:012d}.jpg", "height": height, "width": width, "license": 1})
    annotations = []
    for number in range(num_boxes):
        image_id = draw.randrange(num_images)
        height, width = SIZES_HW[image_id % len(SIZES_HW)]
        w, h = round(draw.uniform(2, 10), 2), round(draw.uniform(2, 10), 2)
        x, y = round(draw.uniform(0, width - w), 2), round(draw.uniform(0, height - h), 2)
        record = {"area": round(w * h, 3), "iscrowd": 0, "image_id": image_id, "bbox": [x, y, w, h]}
        annotations.append(record | {"category_id": draw.randrange(1, CLASSES + 1), "id": number + 1})
    categories = [{"id": number, "name": f"class {number}", "supercategory": "x"} for number in range(1, CLASSES + 1)]
    path = root / "annotations" / "instances_val2017.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def link(seed: Path, target: Path, number: int) -> None:
    """A hard link; file systems allow some ten thousand of one file, so that the seed is renewed now and then."""
    if number // len(SIZES_HW) % 5000 == 0:
        data = seed.read_bytes()
        seed.unlink()
        seed.write_bytes(data)
    os.link(seed, target)


def measure(what: str, path: Path, repeats: int) -> dict[str, float]:
    """The fastest of several runs, each in a process of its own."""
    runs = []
    for _ in range(repeats):
        command = [sys.executable, "-c", MEASURE, what, str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
        runs.append(json.loads(done.stdout))
    return min(runs, key=lambda run: run["busy"])


if __name__ == "__main__":
    sys.exit(main())
