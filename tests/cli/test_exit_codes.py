"""Every command ends with a documented code: 0 good, 1 failed, 2 wrong usage, 3 errors in the data, 130 interrupted."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command_world import World, no_plots
from tests.engine.runs import interrupt_after
from yolo.cli.main import run
from yolo.engine.detector import Detector

_TRAIN = "train in/shapes max_batches=1 workers=0 batch=2 weights=none input_size=32 --no-report"
# for each command: one that works, one whose files are not good, and one that nobody could run
_COMMANDS = {
    "train": (_TRAIN, "train nowhere", "train in/shapes --epochs many"),
    "val": (
        "val in/net.safetensors in/shapes workers=0 --no-report",
        "val in/cut.safetensors in/shapes",
        "val in/net.safetensors in/shapes iou=2",
    ),
    "predict": (
        "predict in/net.safetensors in/pictures device=cpu",
        "predict in/net.safetensors in/pictures/broken.jpg",
        "predict in/net.safetensors in/pictures --overlap 0.2",
    ),
    "report": (
        "report in/coco/annotations/instances_val.json in/found.json bootstrap=0",
        "report in/notes.txt in/found.json",
        "report in/coco/annotations/instances_val.json",
    ),
    "compare": (
        "compare in/found.json in/found.json ground_truth=in/coco/annotations/instances_val.json bootstrap=100",
        "compare in/found.json in/notes.txt ground_truth=in/coco/annotations/instances_val.json",
        "compare in/found.json",
    ),
    "info": ("info in/net.safetensors", "info in/text.safetensors", "info"),
    "data check": ("data check in/shapes workers=0", "data check in/list.json", "data check"),
    "data stats": ("data stats in/shapes", "data stats in/empty", "data stats in/shapes input_size=33"),
    "data preview": (
        "data preview in/shapes batches=1 batch=2 input_size=32",
        "data preview in/list.json",
        "data preview in/shapes batches=0",
    ),
    "data convert": (
        "data convert in/shapes output=out",
        "data convert in/shapes output=in",
        "data convert in/shapes output=out format=pascal",
    ),
    "data split": ("data split in/shapes output=out", "data split nowhere output=out", "data split in/shapes"),
    "data synth": (
        "data synth output=out train=1 val=1 width=64 height=64",
        "data synth output=in train=1 val=1",
        "data synth output=out train=0",
    ),
    "data download": (None, "data download voc2007 manifest=nowhere.yaml", "data download voc2077"),
    "darknet show": ("darknet show in/small.cfg", "darknet show in/small.cfg in/empty.weights", "darknet show"),
    "darknet import": (
        "darknet import in/small.weights output=out.safetensors",
        "darknet import in/empty.weights cfg=in/small.cfg",
        "darknet import in/small.weights output=out.txt",
    ),
    "darknet export": (
        "darknet export in/dark.safetensors output=out.weights",
        "darknet export in/cut.safetensors",
        "darknet export",
    ),
    "demo": (None, "demo images=20 epochs=1 runs=in/notes.txt", "demo images=1"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), with_runs=False)


@pytest.fixture(autouse=True)
def _in_the_world(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(world.folder)
    with no_plots():
        yield
    assert not world.changed(), "commands leave the files of users alone"


@pytest.mark.parametrize(
    ("line", "code"),
    [(line, code) for lines in _COMMANDS.values() for code, line in enumerate(lines) if line is not None],
)
def test_every_command_ends_with_the_code_of_its_end(line: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line.split()) == code
    assert capsys.readouterr().err.count("error: ") == (1 if code else 0)


@pytest.mark.parametrize("command", _COMMANDS)
def test_an_unknown_option_is_wrong_usage_and_help_is_good(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--no-such-option", "1"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert run([*command.split(), "--help"]) == 0
    assert capsys.readouterr().err == ""


def test_errors_in_the_data_have_a_code_of_their_own() -> None:
    Path("bad/images").mkdir(parents=True)
    Path("bad/images/a.jpg").write_text("no image")
    Path("bad/labels").mkdir()
    Path("bad/labels/a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    Path("bad/data.yaml").write_text("train: images\nval: images\nnames: [a]\n")
    assert run(["data", "check", "bad/data.yaml", "workers=1"]) == 3


def interrupted(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, during which Ctrl-C is pressed."""

    def pressed(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return call(*arguments, **options)

    return pressed


def test_ctrl_c_ends_with_130_after_saving(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        assert run([*_TRAIN.replace("max_batches=1", "max_batches=5").split(), "name=stopped"]) == 130
    assert Path("runs/stopped/weights/last.ckpt").is_file()
    assert "--resume runs/stopped" in capsys.readouterr().out
    monkeypatch.setattr(Detector, "detect_frames", interrupted(Detector.detect_frames))
    assert run(["predict", "in/net.safetensors", "in/shapes/images/train", "device=cpu", "name=stopped"]) == 130
    assert "error" not in capsys.readouterr().err
