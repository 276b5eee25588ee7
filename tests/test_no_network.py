"""Nothing but `gridyolo data download` opens a connection (and torchvision, where its weights are asked for)."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.dataset_trees import put_yolo
from tests.test_layering import PACKAGE, modules
from yolo.images import write_image

# who may import what can talk; but for curate/download.py it is the names of errors and types that they need
_MAY = {
    "curate/fetch.py": {"http", "socket", "ssl", "urllib.request", "urllib.error"},
    "models/weights.py": {"urllib.error"},
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
_END = """
if seen:
    sys.exit(f"used the network: {seen}")
print("silent")
"""


def _guarded(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that notes every connection and name that is looked up."""
    environment = {key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(PACKAGE.parent), environment.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", _GUARD + code + _END],
        cwd=folder,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


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
    code = "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9))\nexcept OSError:\n    pass\n"
    assert "used the network: [\"socket.getaddrinfo ('127.0.0.1', 9)\"]" in _guarded(code, tmp_path).stderr


def test_importing_everything_is_silent(tmp_path: Path) -> None:
    names = [path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".") for path in modules()]
    imports = "".join(f"import {name.removesuffix('.__init__')}\n" for name in names if not name.endswith("__main__"))
    done = _guarded(imports, tmp_path)
    assert done.stdout.strip() == "silent", done.stderr


def test_commands_on_local_data_are_silent(tmp_path: Path) -> None:
    for place, split in enumerate(("train", "val")):
        names = [f"{split}{number}" for number in range(4)]
        put_yolo(tmp_path / "pets", split, dict.fromkeys(names, "0 0.5 0.5 0.3 0.3\n"))
        for number, name in enumerate(names):
            noise = np.random.default_rng((place, number)).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            write_image(tmp_path / "pets" / "images" / split / f"{name}.png", noise)
    commands = [
        ["data", "check", "--data", "pets", "--workers", "0"],
        ["data", "stats", "--data", "pets"],
        ["data", "convert", "--data", "pets", "--output", "converted", "--format", "coco"],
        ["data", "split", "--data", "pets", "--output", "lists"],
        ["data", "preview", "--data", "pets", "--batches", "1", "--batch-size", "2", "--input-size", "64"],
        ["data", "synth", "--output", "drawn", "--train", "2", "--val", "1", "--width", "64", "--height", "64"],
        ["train", "--data", "pets", "--epochs", "1", "--input-size", "64", "--workers", "0", "--device", "cpu"],
    ]
    code = f"from yolo.cli.main import run\nfor words in {commands}:\n    print(words, run(words), file=sys.stderr)\n"
    done = _guarded(code, tmp_path)
    assert done.stdout.strip().endswith("silent"), done.stderr
    for words in commands:
        assert f"{words} 0" in done.stderr
