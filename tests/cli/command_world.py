"""Files for invented command lines to work on: a little of everything that a command reads, good and bad.

All names are relative to the folder of the world, in which the command lines run.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import cv2
import numpy as np

from tests.engine.darknet_detectors import write_darknet
from tests.engine.shapes import break_image, draw_shapes, write_untrained
from yolo.cli.main import run
from yolo.images import write_image

DATASETS = (
    "in/yolo.yaml",
    "in/shapes/shapes.yaml",
    "in/shapes",
    "in/voc",
    "in/coco",
    "in/csv",
    "in/coco/annotations/instances_val.json",
)
BAD_DATASETS = (
    "in/pictures",
    "in/list.yaml",
    "in/nothing.yaml",
    "in/text.yaml",
    "in/bytes.yaml",
    "in/nowhere.yaml",
    "in/numbers.yaml",
    "in/empty",
    "in/list.json",
    "in/notes.txt",
    "nowhere",
)
WEIGHTS = (
    "in/net.safetensors",
    "in/dark.safetensors",
    "in/small.weights",
    "in/runs/train",
    "in/runs/train/weights/best.safetensors",
)
BAD_WEIGHTS = (
    "in/cut.safetensors",
    "in/text.safetensors",
    "in/runs/train/weights/last.ckpt",
    "in/notes.txt",
    "in/pictures",
    "in/runs/val",
    "in/empty.weights",
    "nowhere.pt",
    "yolov8n.pt",
)
SOURCES = (
    "in/pictures/a.png",
    "in/pictures/*.png",
    "in/pictures",
    "in/clip.avi",
    "in/shapes/images/val",
    "in/list.txt",
    "in/pictures.zip",
)
BAD_SOURCES = (
    "in/pictures/broken.jpg",
    "in/pictures/text.jpg",
    "in/pictures/folder.jpg",
    "in/empty",
    "in/notes.txt",
    "in/cut.avi",
    "in/*.nothing",
    "http://127.0.0.1:9/a.jpg",
    "rtsp://127.0.0.1:9/live",
    "7",
    "screen",
    "-",
    "/dev/null",
)
TRUTHS = (
    "in/coco/annotations/instances_val.json",
    "in/shapes/shapes.yaml",
    "in/voc",
    "in/csv/val.csv",
    "in/runs/val/ground_truth.json",
)
DETECTIONS = (
    "in/runs/val/predictions.json",
    "in/found.json",
    "in/runs/predict/detections.json",
    "in/runs/val",
    "in/runs/predict",
)
BAD_DETECTIONS = (
    "in/list.json",
    "in/notes.txt",
    "in/empty",
    "in/coco/annotations/instances_val.json",
    "in/pictures/a.png",
)
RUNS = ("in/runs/train", "in/runs/val", "in/runs/report", "in/runs/predict")


class State(NamedTuple):
    """What says whether a file is as it was."""

    size: int
    time: int
    mode: int


class World:
    """The folder, and what has to be in it after every command.

    Attributes:
        folder: in which the command lines run.
    """

    def __init__(self, folder: Path, *, with_runs: bool = True) -> None:
        """Make the files; without `in/runs`, the run folders of a training and of other commands, it is quicker."""
        self.folder = folder / "some" / "where" / "here"  # `../..` stays inside
        self._originals = folder / "originals"
        (self.folder / "in").mkdir(parents=True)
        with contextlib.chdir(self.folder):
            _fill(Path("in"))
            if with_runs:
                _fill_runs(Path("in"))
        shutil.copytree(self.folder / "in", self._originals, symlinks=True)
        self._before = self._states()

    def changed(self) -> list[str]:
        """The input files that a command has changed or removed, which are put back; everything new is removed."""
        now = self._states()
        changed = sorted(name for name, state in self._before.items() if now.get(name) != state)
        new = [name for name in now if name not in self._before]
        if changed or new:
            self._tidy(changed, new)
        return changed

    def _states(self) -> dict[str, State]:
        found: dict[str, State] = {}
        for place, folders, files in os.walk(self.folder):
            for name in (*files, *folders):
                path = os.path.join(place, name)  # noqa: PTH118  # ten times as fast
                status = os.lstat(path)
                is_folder = name in folders
                found[path] = State(
                    0 if is_folder else status.st_size, 0 if is_folder else status.st_mtime_ns, status.st_mode
                )
        return found

    def _tidy(self, changed: list[str], new: list[str]) -> None:
        for name in new:
            path = Path(name)
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if changed:
            shutil.rmtree(self.folder / "in")
            shutil.copytree(self._originals, self.folder / "in", symlinks=True)
            self._before = self._states()


def _fill(folder: Path) -> None:
    shapes = draw_shapes(folder / "shapes", num_train=3, num_val=2)
    (folder / "yolo.yaml").write_text("path: shapes\ntrain: images/train\nval: images/val\nnames: [red, blue]\n")
    write_untrained(folder / "net.safetensors")
    write_darknet(folder)
    _fill_pictures(folder)
    _fill_bad(folder)
    _run(["darknet", "import", f"{folder / 'small.weights'}", f"output={folder / 'dark.safetensors'}"])
    found = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 30], "score": 0.5}
    (folder / "found.json").write_text(json.dumps([found]))
    for kind in ("voc", "coco", "csv"):
        _run(["data", "convert", f"data={shapes}", f"output={folder / kind}", f"format={kind}"])


def _fill_runs(folder: Path) -> None:
    common = [
        f"data={folder / 'shapes'}",
        f"weights={folder / 'net.safetensors'}",
        f"runs={folder / 'runs'}",
        "workers=0",
    ]
    _run(["train", *common, "max_batches=1", "batch=2", "validations=1"])
    _run(["val", *common])
    _run(["predict", *common[1:3], f"source={folder / 'shapes/images/val'}"])
    _run(["report", f"ground_truth={TRUTHS[0]}", f"detections={DETECTIONS[0]}", common[2]])


@contextlib.contextmanager
def no_plots() -> Iterator[None]:
    """Trainings and reports draw no curves, which takes most of the time of small ones."""
    with (
        mock.patch("yolo.report.report.write_plots", return_value=None),
        mock.patch("yolo.engine.train_log.RunFolder.plot", return_value=None),
        mock.patch("yolo.curate.stats.draw_plots", return_value=None),
    ):
        yield


def _unheard() -> contextlib.AbstractContextManager[object]:
    """Warnings that nothing was detected, which is so."""
    return contextlib.redirect_stderr(io.StringIO())


def _run(words: list[str]) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed, _unheard(), no_plots():
        code = run(words)
    assert code == 0, f"{words} ended with {code}: {printed.getvalue()}"


def _fill_pictures(folder: Path) -> None:
    pictures = folder / "pictures"
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (48, 64, 3)), ("b [1].png", (64, 33, 3)), ("sub/c.jpg", (40, 40, 3))):
        write_image(pictures / name, rng.integers(0, 255, size, dtype=np.uint8))
    cv2.imwrite(str(pictures / "deep.png"), rng.integers(0, 65535, (32, 48), dtype=np.uint16))
    shutil.copy(pictures / "a.png", pictures / "caf\udce9.png")  # the byte E9 alone is no UTF-8
    shutil.copy(pictures / "a.png", pictures / "broken.jpg")
    break_image(pictures / "broken.jpg")
    (pictures / "text.jpg").write_text("no image")
    (pictures / "nothing.png").write_bytes(b"")
    (pictures / "folder.jpg").mkdir()
    shutil.make_archive(str(folder / "pictures"), "zip", folder / "shapes" / "images" / "val")
    writer = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 48))
    for _ in range(3):
        writer.write(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    writer.release()
    (folder / "cut.avi").write_bytes((folder / "clip.avi").read_bytes()[:300])
    (folder / "list.txt").write_text("pictures/a.png\npictures/sub/c.jpg\n")


def _fill_bad(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("Nothing of interest.\n")
    (folder / "list.yaml").write_text("- a\n- b\n")
    (folder / "nothing.yaml").write_text("")
    (folder / "text.yaml").write_text("path: [\n")
    (folder / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    (folder / "nowhere.yaml").write_text("train: nowhere\nval: nowhere\nnames: [a]\n")
    (folder / "numbers.yaml").write_text("path: 5\ntrain: 7\nval: {a: 3}\nnames: 2\n")
    (folder / "list.json").write_text(json.dumps([1, "a", None]))
    whole = (folder / "net.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / "text.safetensors").write_text("no weights")
    (folder / "empty.weights").write_bytes(b"")
