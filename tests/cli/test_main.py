import subprocess
import sys
from pathlib import Path

import pytest

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


def test_help_and_mistyped_options_import_nothing_slow() -> None:
    commands = [
        ["--help"],
        ["train", "--help"],
        ["train", "--daat", "x"],
        ["val", "--help"],
        ["data", "check", "--help"],
    ]
    code = (
        "import sys, yolo\nfrom yolo.cli.main import run\n"
        f"for words in {commands}: run(words)\n"
        "print(*sys.modules.keys() & {'torch', 'torchvision', 'lightning_fabric', 'cv2', 'albumentations', "
        "'matplotlib', 'numpy', 'PIL', 'jinja2'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_the_package_can_be_run() -> None:
    done = subprocess.run([sys.executable, "-m", "yolo", "trian"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean train" in done.stderr


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (MemoryError("Unable to allocate 2.86 GiB"), "this machine"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 6144000000 bytes"),
            "this machine",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "the GPU"),
    ],
)
def test_what_needs_too_much_memory_says_what_needs_less(
    error: Exception, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> None:
        raise error

    monkeypatch.setattr("yolo.cli.main._run", fail)
    assert run(["train", "d"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {where} has not enough memory for this; a smaller --batch-size, --input-size")


def test_other_errors_are_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(words: list[str]) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("yolo.cli.main._run", fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(["train", "d"])
