"""The inference path against plain eager PyTorch, side by side in one run, on one image.

    python tools/bench_inference.py [--input-size 448] [--backbones shufflenet_v2_x0_5 ...]
    PYTHON_WITH_PEER tools/bench_inference.py --peer [--input-size 320]

Columns, medians in milliseconds: the network's plain eager forward in NCHW memory, the fused channels-last copy
that `predict` and `val` use, their ratio; pre-processing (resize, letterbox, to tensor) of a 640x480 image;
post-processing (decode, suppression, restoring) at score 0.25; and both together as a share of each forward.
The weights are random; post-processing gets an answer with 60 candidates of which about 20 survive, as a busy
picture gives.

With --peer, the Python of an environment that has both this package and `ultralytics` (AGPL, a program of its own) runs
the networks alone in turns: ours fused, and its yolov8n with random weights, fused by itself, in both memory layouts.
"""

import argparse
import copy
import functools
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from yolo.geometry import place_image, plan_resize
from yolo.grid import GridSpec
from yolo.models.fusion import fuse
from yolo.models.network import GridNetwork, NetworkSpec
from yolo.postprocess.pipeline import PostprocessSettings, postprocess

OBJECTS = 20


def interleaved(functions: dict[str, Callable[[], object]], *, repeats: int) -> dict[str, float]:
    """Median milliseconds of each function; they take turns, so that a busy machine hits all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 5):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(values[5:]) for name, values in times.items()}


def busy_answer(grid: GridSpec) -> torch.Tensor:
    """Raw (1, S, S, D) with OBJECTS objects, each seen by three predictors of neighbouring cells."""
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(1, grid.grid_size, grid.grid_size, grid.depth, generator=generator) / 4
    parts = grid.split(raw)
    parts.confidence.sub_(6)
    parts.class_probs.sub_(4)
    parts.size_wh.sub_(1)
    for _ in range(OBJECTS):
        row, col = torch.randint(1, grid.grid_size - 1, (2,), generator=generator).tolist()
        label = int(torch.randint(grid.num_classes, (1,), generator=generator))
        for place, (down, right) in enumerate(((0, 0), (0, 1), (1, 0))):
            parts.confidence[0, row + down, col + right, 0] = 3.0 - place
            parts.class_probs[0, row + down, col + right, label] = 4.0
    return raw


def measure(backbone: str, input_size: int, *, repeats: int) -> dict[str, float]:
    torch.manual_seed(0)
    spec = NetworkSpec(backbone=backbone, num_classes=3)
    network = GridNetwork(spec).eval()
    fused, grid = fuse(network), spec.grid((input_size, input_size))
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    geometry = plan_resize((480, 640), (input_size, input_size), "letterbox")
    settings = PostprocessSettings(score_threshold=0.25, iou_threshold=0.5, max_detections=300)

    def preprocess() -> torch.Tensor:
        return torch.from_numpy(place_image(image, geometry, "letterbox")).permute(2, 0, 1)[None]

    batch = preprocess()
    plain = batch.contiguous(memory_format=torch.contiguous_format)
    raw = busy_answer(grid)
    times = interleaved(
        {
            "eager": lambda: network(plain),
            "fused": lambda: fused(batch),
            "preprocess": preprocess,
            "postprocess": lambda: postprocess(grid, raw, [geometry], settings),
        },
        repeats=repeats,
    )
    times["difference"] = float((network(plain) - fused(batch)).abs().max())
    times["found"] = len(postprocess(grid, raw, [geometry], settings)[0])
    return times


def compare_with_peer(input_size: int, *, repeats: int) -> None:
    """Print the median milliseconds of each network alone on one image."""
    from ultralytics import YOLO  # type: ignore[import-not-found]

    pixels = torch.randint(0, 256, (1, 3, input_size, input_size), dtype=torch.uint8)
    floats = pixels.float() / 255
    channels_last = floats.contiguous(memory_format=torch.channels_last)
    peer = YOLO("yolov8n.yaml").model.eval().fuse()
    peer_last = copy.deepcopy(peer).to(memory_format=torch.channels_last)
    networks: dict[str, Callable[[], object]] = {
        "yolov8n": lambda: peer(floats),
        "yolov8n, channels-last": lambda: peer_last(channels_last),
    }
    for backbone, deepest in (("shufflenet_v2_x0_5", 32), ("efficientnet_lite0", 16), ("efficientnet_lite0", 32)):
        spec = NetworkSpec(backbone=backbone, num_classes=80, deepest_stride=deepest)
        fused = fuse(GridNetwork(spec).eval())
        networks[f"{backbone}, to stride {deepest}"] = functools.partial(fused, pixels)
    for name, milliseconds in interleaved(networks, repeats=repeats).items():
        print(f"{milliseconds:8.1f} ms  {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input-size", type=int, default=448)
    parser.add_argument("--repeats", type=int, default=60)
    families = ["shufflenet_v2_x0_5", "mobilenet_v3_small", "efficientnet_b0", "regnet_y_400mf", "resnet18"]
    parser.add_argument("--backbones", nargs="+", default=families)
    parser.add_argument("--peer", action="store_true", help="compare with yolov8n of ultralytics")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    if options.peer:
        with torch.inference_mode():
            compare_with_peer(options.input_size, repeats=options.repeats)
        return
    print(f"one 640x480 image, input {options.input_size} px, milliseconds")
    names = ("eager", "fused", "faster", "pre", "post", "of eager", "of fused", "boxes", "max diff")
    print(f"{'backbone':<22}" + "".join(f"{name:>10}" for name in names))
    with torch.inference_mode():
        for backbone in options.backbones:
            t = measure(backbone, options.input_size, repeats=options.repeats)
            around = t["preprocess"] + t["postprocess"]
            print(
                f"{backbone:<22}{t['eager']:10.2f}{t['fused']:10.2f}{t['eager'] / t['fused']:9.2f}x"
                f"{t['preprocess']:10.2f}{t['postprocess']:10.2f}{around / t['eager']:10.1%}"
                f"{around / t['fused']:10.1%}{t['found']:10.0f}{t['difference']:10.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
