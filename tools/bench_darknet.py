"""darknet's networks, image to boxes, against plain eager PyTorch, side by side in one run, on one image.

    python tools/bench_darknet.py [--networks yolov1-tiny yolov1] [--threads 2]

Rows per network, medians in milliseconds over turns that the variants take one after the other:
    eager         the plain network's forward in NCHW memory, float32: what a straightforward port does
    float32       `Detector` on a 768x576 uint8 image: corner-aligned stretch, network, decoding, suppression
    bfloat16      the same with precision bf16
The stages of each Detector are given beside it, and the memory that opening the file takes on top of the process, at
its peak, as a multiple of the file (in a process of its own; Linux only). Weights are random, with the running
statistics of the batch norms at 0 and 1; they are written as a darknet weights file and read back, as a user's would
be.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from bench_inference import interleaved

from yolo import Detector
from yolo.darknet.load import save_darknet
from yolo.darknet.lookup import network_cfg
from yolo.darknet.modules import BatchNorm
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.weights import WeightsHeader

IMAGE_HW = (576, 768)
STAGES = ("preprocess", "inference", "postprocess")


def random_network(name: str) -> DarknetNetwork:
    """A shipped network that answers with numbers of ordinary size."""
    torch.manual_seed(0)
    network = DarknetNetwork(DarknetSpec(cfg=network_cfg(name)))
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.rolling_variance.fill_(1)
    return network.eval()


# VmHWM and not ru_maxrss, which a process inherits from the one that started it
_OPEN = """
import sys
from pathlib import Path
import yolo.models.fusion
from yolo import Detector
peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak()
Detector(sys.argv[1], device="cpu")
print(peak() - before)
"""


def peak_memory(weights: Path) -> float:
    """Memory that a `Detector` takes while it opens a file, as a multiple of the file."""
    output = subprocess.run([sys.executable, "-c", _OPEN, str(weights)], capture_output=True, text=True, check=True)
    return int(output.stdout) * 1024 / weights.stat().st_size


def measure(name: str, folder: Path, *, repeats: int) -> None:
    network = random_network(name)
    weights = folder / f"{name}.weights"
    save_darknet(weights, network, WeightsHeader.new())
    image = np.random.default_rng(0).integers(0, 256, (*IMAGE_HW, 3), np.uint8)
    detectors = {label: Detector(weights, device="cpu", precision=label) for label in ("32", "bf16")}
    height, width = network.spec.input_hw
    eager_input = torch.rand(1, 3, height, width)
    stages: dict[str, list[list[float]]] = {label: [] for label in detectors}
    found = {}

    def detect(label: str) -> None:
        result = detectors[label](image)
        found[label] = len(result)
        stages[label].append([1000 * getattr(result.seconds, stage) for stage in STAGES])

    with torch.inference_mode():
        times = interleaved(
            {
                "eager": lambda: network(eager_input),
                **{label: lambda label=label: detect(label) for label in detectors},
            },
            repeats=repeats,
        )
    print(f"\n{name}: {network.spec.plan.flops / 1e9:.2f} GFLOP, {network.spec.plan.num_parameters:,} parameters")
    print(f"  opening the file                    {peak_memory(weights):8.2f} of its size at the peak")
    print(f"  eager NCHW float32, network alone   {times['eager']:8.1f}")
    for label, long_name in (("32", "float32"), ("bf16", "bfloat16")):
        medians = [statistics.median(column) for column in zip(*stages[label], strict=True)]
        parts = ", ".join(f"{stage} {value:.1f}" for stage, value in zip(STAGES, medians, strict=True))
        print(
            f"  Detector {long_name:<10} image to boxes   {times[label]:8.1f}   "
            f"{times['eager'] / times[label]:.1f}x   ({parts}; {found[label]} boxes)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["yolov1-tiny", "yolov1"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {options.threads} threads")
    print(f"one {IMAGE_HW[1]}x{IMAGE_HW[0]} image, milliseconds")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            measure(name, Path(folder), repeats=options.repeats)


if __name__ == "__main__":
    main()
