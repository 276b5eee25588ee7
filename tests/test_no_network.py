"""Nothing opens a connection but `gridyolo data download` and `predict`, for an address that it is given.

And torchvision, where its weights are asked for.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_layering import PACKAGE, modules
from yolo.cli.main import run
from yolo.images import read_image

# who may import what can talk; but for http.py it is the names of errors and types that they need
_MAY = {
    "http.py": {"http", "socket", "ssl", "urllib.request", "urllib.error"},
    "curate/fetch.py": {"http", "socket"},
    "media/fetch.py": {"http", "socket"},
    "models/pretrained.py": {"urllib.error"},
}
_TALKERS = {
    "aiohttp",
    "ftplib",
    "http",
    "httpx",
    "huggingface_hub",
    "pooch",
    "requests",
    "smtplib",
    "socket",
    "ssl",
} | {
    "torch.hub",
    "urllib.error",
    "urllib.request",
    "urllib3",
    "xmlrpc",
}

# notes every connection that is opened and every name that is looked up
_GUARD = """
import sys
seen = []

def guard(event, arguments):
    # sockets of the system itself have a path as their address; between processes they are no network
    if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
        seen.append(f"{event} {arguments[-1] if event == 'socket.connect' else arguments[:2]}")
        raise ConnectionError("the network is used")

sys.addaudithook(guard)
"""
_SESSION = """
import contextlib, importlib, io, json
from yolo import Detector
of_detector = [name for name in sys.modules if name.startswith(("yolo", "torch._dynamo"))]
from yolo.cli.main import run

results = []
for words in {commands}:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(words)
    results.append([words, code, out.getvalue(), err.getvalue()])
for name in {modules}:
    importlib.import_module(name)
print(json.dumps([of_detector, results, seen]))
"""
_WEIGHTS = "runs/train/weights/best.safetensors"
_COMMANDS = [
    ["data", "stats", "--data", "made"],
    ["data", "preview", "--data", "made", "--batches", "1", "--batch-size", "4", "--input-size", "64"],
    ["data", "split", "--data", "made", "--output", "parts", "--val", "0.5", "--seed", "3"],
    ["data", "convert", "--data", "parts", "--output", "coco", "--format", "coco"],
    ["data", "check", "--data", "coco", "--workers", "0"],
    ["train", "--data", "made", "--epochs", "1", "input_size=64", "batch=4", "workers=0", "device=cpu", "--no-report"],
    ["val", "--weights", _WEIGHTS, "--data", "made", "--workers", "0", "--device", "cpu", "--no-report"],
    ["predict", f"weights={_WEIGHTS}", "source=made/images/val", "conf=0.01", "--device", "cpu"],
    ["info", "--weights", _WEIGHTS],
]


def _guarded(code: str, folder: Path) -> str:
    """What code prints in an interpreter of its own with `_GUARD`, without the switches that tests set."""
    environment = {key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(PACKAGE.parent), environment.get("PYTHONPATH", "")])
    environment["OMP_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", _GUARD + code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _talkers_in(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {talker for talker in _TALKERS for name in names if f"{name}.".startswith(f"{talker}.")}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_who_imports_what_can_talk(path: Path) -> None:
    assert _talkers_in(path) <= _MAY.get(path.relative_to(PACKAGE).as_posix(), set())


def test_the_rules_can_fail(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("from urllib import request\nimport http.client\nimport urllib.parse\n")
    assert _talkers_in(tmp_path / "bad.py") == {"urllib.request", "http"}
    code = "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9))\nexcept OSError:\n    print(seen)\n"
    assert _guarded(code, tmp_path) == "[\"socket.getaddrinfo ('127.0.0.1', 9)\"]\n"


def test_a_session_on_local_data_is_silent_and_loads_what_it_needs(tmp_path: Path) -> None:
    """What a user types from a new dataset to a prediction, in one process that imports every module in the end.

    It starts with the detector, which needs no dataset, no evaluation and no report.
    """
    synth = ["data", "synth", "--output", str(tmp_path / "made"), "--train", "8", "--val", "4", "width=64", "height=64"]
    assert run(synth) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "made").rglob("*") if path.is_file()}
    names = [path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".") for path in modules()]
    imported = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    of_detector, results, seen = json.loads(_guarded(_SESSION.format(commands=_COMMANDS, modules=imported), tmp_path))
    assert seen == []
    assert len(of_detector) <= 64
    assert "torch._dynamo" not in of_detector, "torch's compiler takes a second to import"
    parts = {name.split(".")[1] for name in of_detector if "." in name}
    assert not parts & {"data", "formats", "transforms", "losses", "evaluation", "report", "curate", "cli"}
    printed = {}
    for words, code, out, err in results:
        assert code == 0, words
        assert all(line.startswith("warning: ") for line in err.splitlines()), err
        assert not {"\r", "\x1b"} & set(out), f"{words}: progress and colours are for terminals"
        printed[" ".join(words[: 2 if words[0] == "data" else 1])] = out
    assert "8 of 8 images kept" in printed["train"]
    assert "4 of 4 images kept" in printed["val"]
    assert "4 images" in printed["predict"]
    assert len(json.loads((tmp_path / "runs/predict/detections.json").read_text())["images"]) == 4
    assert len(json.loads(printed["info"])["class_names"]) > 1
    assert json.loads((tmp_path / "runs/stats/stats.json").read_text())
    (sheet,) = (tmp_path / "runs/preview").glob("*.jpg")
    assert read_image(sheet).std() > 0
    assert [len(json.loads(path.read_text())["images"]) for path in (tmp_path / "coco").rglob("*.json")] == [6, 6]
    # the dataset is as it was, and nothing was written but what was asked for
    assert before == {path: path.read_bytes() for path in (tmp_path / "made").rglob("*") if path.is_file()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coco", "made", "parts", "runs"]
