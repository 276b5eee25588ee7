"""Speed and memory of the working tree beside those of a commit: the same benchmarks, in turns, in one run.

    python tools/bench_with_commit.py --commit 5078fd6 [--rounds 4] [--only bench_loader]

Each tree runs its own tools/bench_*.py, in alternating order, so that both see the same machine in the same minutes.
Every number that a benchmark prints is then shown as the medians of both trees and the ratio of after to before; lines
that only one of the trees prints are left out. Run nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = (
    ("bench_dataset_open.py",),
    ("bench_evaluation.py", "--without", "pycocotools", "--repeats", "1"),
    ("bench_loader.py", "--sizes", "320", "--no-stages", "--rounds", "1"),
    ("bench_data_check.py", "--sizes", "10000"),
    ("bench_report.py",),
)
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\d)")

Numbers = dict[tuple[str, int], list[float]]  # by the line with # for its numbers, and the place in the line


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", default="", help="benchmarks whose name contains this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        worktree = Path(scratch) / "commit"
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--detach", str(worktree), options.commit], check=True, capture_output=True)
        try:
            for words in BENCHMARKS:
                if options.only in words[0]:
                    _compare(words, worktree, options.rounds)
        finally:
            subprocess.run([*git, "remove", "--force", str(worktree)], check=True, capture_output=True)
    return 0


def _compare(words: tuple[str, ...], worktree: Path, rounds: int) -> None:
    before: Numbers = defaultdict(list)
    after: Numbers = defaultdict(list)
    trees = [(worktree, before), (ROOT, after)]
    for number in range(rounds):
        # the order changes, because a processor may be slower after a minute of work
        for tree, numbers in trees if number % 2 == 0 else trees[::-1]:
            _collect(_output(tree, words), numbers)
    print("\n" + " ".join(words))
    for line, place in sorted(before.keys() & after.keys()):
        old, new = (statistics.median(numbers[line, place]) for numbers in (before, after))
        ratio = f"{new / old:6.2f}" if old else "     -"
        print(f"{old:14.4g}{new:14.4g}{ratio}  number {place + 1} of: {line[:90]}", flush=True)


def _output(tree: Path, words: tuple[str, ...]) -> str:
    environment = os.environ | {"PYTHONPATH": str(tree)}
    command = [sys.executable, str(tree / "tools" / words[0]), *words[1:]]
    # some end with 1 where a target is missed; what they print counts here
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _collect(output: str, numbers: Numbers) -> None:
    for line in output.splitlines():
        template = re.sub(r"\s+", " ", _NUMBER.sub("#", line)).strip()
        for place, text in enumerate(_NUMBER.findall(line)):
            numbers[template, place].append(float(text.replace(",", "")))


if __name__ == "__main__":
    sys.exit(main())
