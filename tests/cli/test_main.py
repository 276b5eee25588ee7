import json
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from tests.engine.shapes import draw_shapes
from yolo.cli.main import run


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == run(["--help"]) == 0
    assert run(["--version"]) == 0
    out = capsys.readouterr().out
    for command in ("train", "val", "predict", "info", "demo"):
        assert f"gridyolo {command}" in out
        assert run([command, "--help"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["trian"], 2, "did you mean train"),
        (["train"], 2, "--data is required"),
        (["train", "--data", "nowhere"], 1, "nowhere"),
        (["train", "--data", "nowhere", "--epochs", "x"], 2, "epochs"),
        (["predict", "--weights", "none.safetensors", "--source", "none.jpg"], 1, "none.jpg"),
        (["info", "--weights", "none.safetensors"], 1, "no such weights file"),
        (["train", "--data", "d", "--device", "cuda:77"], 2, "cuda:77"),
        (["train", "--data", "d", "--device", "tpu"], 2, "tpu"),
    ],
)
def test_mistakes_end_with_a_message_and_a_code(
    words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = [f"--runs={tmp_path}"] if words[0] in ("train", "predict") and len(words) > 1 else []
    assert run([*words, *options]) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    "words", [["--help"], ["train", "--daat", "x"], ["val", "--help"], ["data", "check", "--help"]]
)
def test_help_and_mistyped_options_import_nothing_slow(words: list[str]) -> None:
    code = (
        "import sys\nfrom yolo.cli.main import run\nrun(sys.argv[1:])\n"
        "print(*sorted(sys.modules.keys() & {'torch', 'torchvision', 'cv2', 'matplotlib', 'numpy', 'PIL', 'jinja2'}))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_train_val_predict_info_by_the_commands_a_user_types(tmp_path: Path) -> None:
    """In processes of their own, with sockets refused: nothing may use the network."""
    data = draw_shapes(tmp_path / "data")
    guard = tmp_path / "sitecustomize.py"
    guard.write_text(
        "import socket\ndef refuse(*a, **k): raise RuntimeError('a network was wanted')\nsocket.getaddrinfo = refuse\n"
    )

    def gridyolo(*words: str) -> str:
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "OMP_NUM_THREADS": "1"}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        environment["MPLCONFIGDIR"] = matplotlib.get_cachedir()  # or each process would list all fonts anew
        command = [sys.executable, "-m", "yolo", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout

    out = gridyolo("train", "--data", str(data), "input_size=64", "--epochs", "2", "batch=4", "--workers", "1")
    assert "8 of 8 images kept" in out
    assert "\r" not in out
    assert "\x1b" not in out
    weights = "runs/train/weights/best.safetensors"
    assert "mAP50-95" in gridyolo("val", "--weights", weights, "--data", str(data))
    out = gridyolo("predict", f"weights={weights}", "source=data/images/val", "conf=0.01")
    assert "4 images" in out
    assert len(json.loads((tmp_path / "runs/predict/predictions.json").read_text())) == 4
    assert json.loads(gridyolo("info", "--weights", weights))["class_names"] == ["red", "blue"]
    # the dataset is as it was, and nothing was written beside the run folder
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "runs", "sitecustomize.py"]
    assert len(list((tmp_path / "data").rglob("*"))) == 8 + 4 + 8 + 4 + 1 + 6
