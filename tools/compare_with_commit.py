"""Prove that a restructuring changed no numbers: run a commit and the working tree on the same data and compare.

For each dataset: the losses of the first training steps from random weights, `metrics.json`, `predictions.json` and
`per_class.csv` of a validation with one weights file (written by the commit, so reading it is proven too), the
findings of `data check`, and every file of `data convert` in each format. Each difference is printed; the exit code
says whether there were any.

    python tools/compare_with_commit.py --commit 5078fd6 --data bccd=path/to/bccd --data coco128=path/to/coco128.yaml

Left out: timings (tools/bench_*.py), and text that people read, such as the HTML report.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FORMATS = ("voc", "coco", "yolo", "csv")
# Runs inside either tree: notes the loss of each step and ends the process after the last one wanted.
_NOTE_LOSSES = """
import json, os, sys
from yolo.losses.yolo_loss import YoloLoss
target, steps, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
losses, original = [], YoloLoss.__call__
def noted(self, grid, raw, targets, *rest, **named):
    terms = original(self, grid, raw, targets, *rest, **named)
    if raw.requires_grad:
        losses.append(terms.to_floats())
        if len(losses) == steps:
            with open(target, "w") as file:
                json.dump(losses, file)
            os._exit(0)
    return terms
YoloLoss.__call__ = noted
from yolo.cli.main import run
run(words)
raise SystemExit(f"only {len(losses)} steps were made")
"""
# Differ between any two runs of one and the same program.
_VOLATILE = frozenset(
    {"command", "created", "data", "date", "duration", "git", "inference", "load", "path", "postprocess", "run", "runs"}
    | {"seconds", "version", "weights"}
)


class Tree:
    """One state of the source code and the folder that its results go to."""

    def __init__(self, source: Path, results: Path) -> None:
        self.source = source
        self.results = results
        results.mkdir(parents=True, exist_ok=True)

    def run(self, *words: str, allowed: tuple[int, ...] = (0,)) -> None:
        """Run Python with some arguments inside this tree."""
        environment = os.environ | {"PYTHONPATH": str(self.source), "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg"}
        done = subprocess.run(
            [sys.executable, *words], cwd=self.source, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode not in allowed:
            shown = " ".join(word if "\n" not in word else "..." for word in words)
            raise SystemExit(f"{self.source}: {shown} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")

    def gridyolo(self, *words: str, allowed: tuple[int, ...] = (0,)) -> None:
        """Run the command line of this tree."""
        self.run("-m", "yolo", *words, allowed=allowed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", required=True, help="the commit to compare the working tree with")
    parser.add_argument("--data", action="append", required=True, metavar="NAME=PATH", help="a dataset; repeatable")
    parser.add_argument("--steps", type=int, default=50, help="training steps whose losses are compared")
    parser.add_argument("--epochs", type=int, default=4, help="length of the training that makes the weights for val")
    parser.add_argument("--input-size", type=int, default=160)
    parser.add_argument("--keep", type=Path, help="folder for the results; the commit's are used again from there")
    options = parser.parse_args()
    datasets = dict(one.split("=", 1) for one in options.data)
    with tempfile.TemporaryDirectory() as scratch:
        results = options.keep.resolve() if options.keep else Path(scratch) / "results"
        worktree = Path(scratch) / "commit"
        _git("worktree", "add", "--detach", str(worktree), options.commit)
        try:
            differences = 0
            for name, path in datasets.items():
                before, after = Tree(worktree, results / "before" / name), Tree(ROOT, results / "after" / name)
                differences += _compare_dataset(before, after, name, str(Path(path).resolve()), options)
        finally:
            _git("worktree", "remove", "--force", str(worktree))
    print(f"{differences} differences")
    return int(differences > 0)


def _git(*words: str) -> None:
    subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True)


def _compare_dataset(before: Tree, after: Tree, name: str, data: str, options: argparse.Namespace) -> int:
    size = ("--input-size", str(options.input_size))
    weights = before.results / "train" / "weights" / "best.safetensors"
    if not (before.results / "done").exists():
        shutil.rmtree(before.results)
        before.gridyolo(
            "train", "--data", data, *size, "--epochs", str(options.epochs), "--workers", "0", "--device", "cpu",
            "--report", "false", "--runs", str(before.results), "--name", "train",
        )  # fmt: skip
        _produce(before, data, weights, size, options.steps)
        (before.results / "done").touch()
    shutil.rmtree(after.results)
    after.results.mkdir()
    _produce(after, data, weights, size, options.steps)
    differences = 0
    for what, lines in _differences(before.results, after.results):
        differences += 1
        print(f"{name}: {what}: different\n  " + "\n  ".join(lines[:12]))
    print(f"{name}: compared losses, metrics, predictions, findings and {len(FORMATS)} conversions", flush=True)
    return differences


def _produce(tree: Tree, data: str, weights: Path, size: tuple[str, str], steps: int) -> None:
    """Everything that is compared, in the folder of the results of a tree."""
    train = ("train", "--data", data, *size, "--batch-size", "4", "--workers", "0", "--device", "cpu", "--epochs", "9")
    runs = ("--runs", str(tree.results))
    tree.run("-c", _NOTE_LOSSES, str(tree.results / "losses.json"), str(steps), *train, *runs, "--name", "steps")
    tree.gridyolo("val", "--weights", str(weights), "--data", data, "--device", "cpu", *runs, "--name", "val")
    tree.gridyolo("data", "check", "--data", data, *runs, "--name", "check", allowed=(0, 3))
    for name in FORMATS:
        output = tree.results / "convert" / name
        tree.gridyolo("data", "convert", "--data", data, "--output", str(output), "--format", name, "--images", "link")


def _differences(before: Path, after: Path) -> Iterator[tuple[str, list[str]]]:
    """What is not equal: its name and the first lines that differ."""
    names = ["losses.json", *(f"val/{name}" for name in ("metrics.json", "predictions.json", "per_class.csv"))]
    names += ["check/" + path.name for path in sorted((before / "check").glob("*.json"))]
    converted = {
        path.relative_to(folder).as_posix()
        for folder in (before, after)
        for path in (folder / "convert").rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    for name in [*names, *sorted(converted)]:
        old, new = _lines(before / name), _lines(after / name)
        if old != new:
            yield name, list(difflib.unified_diff(old, new, "before", "after", lineterm="", n=0))[2:]


def _lines(path: Path) -> list[str]:
    """A file as lines; JSON with sorted keys and without what differs from run to run."""
    if not path.exists():
        return ["(there is no such file)"]
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        text = json.dumps(_steady(json.loads(text)), indent=0, sort_keys=True)
    return text.splitlines()


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _steady(one) for key, one in value.items() if key not in _VOLATILE}
    return [_steady(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
