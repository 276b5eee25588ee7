"""Training at equal wall time: the default command, other options of ours, and YOLOv8n of another package.

    python tools/bench_training.py --data DATA --minutes 6 [--seeds 3] [--peer PYTHON]
        [--ours "default=" --ours "scratch=--weights none --backbone shufflenet_v2_x0_5"]
        [--commit 5078fd6 --weights FILE]

The contenders take turns, one training after the other in one run, on the val split of the dataset:

- each `--ours NAME=OPTIONS`: `gridyolo train --data DATA --max-minutes M OPTIONS`, once for each seed;
- with `--commit` and `--weights`: that commit's default network from a file of backbone weights, once for each seed;
- with `--peer`, the Python of an environment that has `ultralytics` (AGPL; a program of its own that nothing here is
  linked with): yolov8n from random weights, because its weights cannot be had without its hub, for the same minutes at
  320 pixels. Its training ends with its own time limit.

All are measured by `gridyolo`'s evaluator: the peer's detections (score 0.001, IoU 0.7) come as text files. Run nothing
else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Runs in the peer's environment: dataset YAML, folder, minutes, seed, images of val.
_PEER = """
import sys
from ultralytics import YOLO
data, folder, minutes, seed, images = sys.argv[1:]
model = YOLO("yolov8n.yaml")
model.train(data=data, imgsz=320, time=float(minutes) / 60, epochs=1000, batch=16, seed=int(seed), workers=0,
            device="cpu", project=folder, name="train", pretrained=False, plots=False, verbose=False)
best = YOLO(folder + "/train/weights/best.pt")
best.predict(images, imgsz=320, conf=0.001, iou=0.7, max_det=300, save_txt=True, save_conf=True, project=folder,
             name="found", verbose=False, device="cpu", stream=False)
"""

Scores = dict[str, list[tuple[float, float]]]  # (mAP@0.5, mAP@0.5:0.95) of each seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ours", action="append", default=[])
    parser.add_argument("--commit", default="")
    parser.add_argument("--weights", default="", help="backbone weights for --commit")
    parser.add_argument("--peer", default="")
    parser.add_argument("--peer-seeds", type=int, default=1)
    options = parser.parse_args()
    options.data = str(Path(options.data).absolute())
    options.weights = str(Path(options.weights).absolute()) if options.weights else ""
    contenders = dict(text.partition("=")[::2] for text in options.ours or ["default="])
    scores: Scores = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for seed in range(options.seeds):
            for name, words in contenders.items():
                began = time.monotonic()
                found = _train(ROOT, options, folder / f"{name}{seed}", seed, shlex.split(words))
                _note(scores, name, seed, found, began)
            if options.commit:
                began = time.monotonic()
                found = _train_commit(options, folder, seed)
                _note(scores, f"{options.commit} from {Path(options.weights).name}", seed, found, began)
            if options.peer and seed < options.peer_seeds:
                began = time.monotonic()
                _note(scores, "yolov8n", seed, _train_peer(options, folder / f"peer{seed}", seed), began)
    print(f"\n{options.data}, {options.minutes:g} minutes, medians of the seeds")
    for name, values in scores.items():
        map_50, map_50_95 = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{map_50:8.3f}{map_50_95:8.3f}  {name} ({counted(len(values))})")


def counted(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _note(scores: Scores, name: str, seed: int, found: tuple[float, float], began: float) -> None:
    scores[name].append(found)
    minutes = (time.monotonic() - began) / 60
    print(f"seed {seed}: mAP@0.5 {found[0]:.3f}, mAP {found[1]:.3f}, {minutes:.1f} minutes in all: {name}", flush=True)


def _train(tree: Path, options: argparse.Namespace, runs: Path, seed: int, words: list[str]) -> tuple[float, float]:
    command = [
        *(sys.executable, "-m", "yolo", "train", "--data", options.data, "--max-minutes", str(options.minutes)),
        *("--seed", str(seed), "--runs", str(runs), "--no-report", *words),
    ]
    _run(command, tree)
    return _metrics(runs / "train" / "metrics.json")


def _train_commit(options: argparse.Namespace, scratch: Path, seed: int) -> tuple[float, float]:
    tree = scratch / "commit"
    git = ("git", "-C", str(ROOT), "worktree")
    subprocess.run([*git, "add", "--detach", str(tree), options.commit], check=True, capture_output=True)
    try:
        return _train(tree, options, scratch / f"commit-runs{seed}", seed, ["--weights", options.weights])
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], check=True, capture_output=True)


def _train_peer(options: argparse.Namespace, folder: Path, seed: int) -> tuple[float, float]:
    convert = (
        sys.executable,
        "-m",
        "yolo",
        "data",
        "convert",
        "--data",
        options.data,
        "--output",
        str(folder / "data"),
    )
    _run([*convert, "--format", "yolo"], ROOT)
    data = next((folder / "data").glob("*.yaml"))
    images = folder / "data" / "images" / "val"
    command = [options.peer, "-c", _PEER, str(data), str(folder), str(options.minutes), str(seed), str(images)]
    # it looks for images from where it is started
    _run(command, data.parent, environment={"YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(folder)})
    report = (sys.executable, "-m", "yolo", "report", "--ground-truth", str(data), "--split", "val", "--no-pictures")
    _run([*report, "--detections", str(folder / "found" / "labels"), "--runs", str(folder / "reports")], ROOT)
    return _metrics(next((folder / "reports").rglob("metrics.json")))


def _run(command: list[str], folder: Path, *, environment: dict[str, str] | None = None) -> None:
    settings = os.environ | {"PYTHONPATH": str(folder)} | (environment or {})
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def _metrics(path: Path) -> tuple[float, float]:
    values = json.loads(path.read_text())
    return values["map_50"], values["map_50_95"]


if __name__ == "__main__":
    main()
