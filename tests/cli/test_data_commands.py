"""The `data` commands as a user types them: help, mistakes and exit codes; `tests/test_no_network.py` runs them all."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.dataset_trees import put_image, put_text, put_yolo
from yolo.cli.main import run
from yolo.images import read_image

_ACTIONS = ("check", "stats", "preview", "convert", "split", "synth", "download")


def test_every_action_is_listed_and_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data"]) == 0
    listed = capsys.readouterr().out
    for action in _ACTIONS:
        assert f"gridyolo data {action}" in listed
        assert run(["data", action, "--help"]) == 0
        assert f"usage: gridyolo data {action}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["data", "chekc"], 2, "did you mean check?"),
        (["data", "check"], 2, "--data is required"),
        (["data", "check", "--data", "nowhere"], 1, "nowhere"),
        (["data", "check", "--data", "d", "--format", "coco"], 2, "--fix-into"),
        (["data", "convert", "--data", "d"], 2, "--output is required"),
        (["data", "convert", "--data", "d", "--output", "o", "--format", "pascal"], 2, "pascal"),
        (["data", "split", "--data", "d", "--output", "o", "--val", "0.7", "--test", "0.3"], 2, "leave something"),
        (["data", "split", "--data", "d", "--output", "o", "--by", "group", "--group", "regex"], 2, "--pattern"),
        (["data", "split", "--data", "d", "--output", "o", "--group", "folder"], 2, "add --by group"),
        (["data", "synth", "--output", "o", "--train", "0"], 2, "train must be at least 1"),
        (["data", "download", "--dataset", "voc2077"], 2, "voc2007"),
        (["data", "preview", "--data", "d", "--batches", "0"], 2, "batches"),
        (["train", "--data", "d", "--box-policy", "lenient"], 2, "lenient"),
    ],
)
def test_mistakes_end_with_a_message_and_a_code(
    words: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(words) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not list(tmp_path.iterdir()), "a command that cannot work leaves nothing behind"


def test_a_check_that_finds_errors_ends_with_code_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put_yolo(tmp_path / "pets", "train", {"a": "0 .5 .5 .5 .5\n"})
    put_image(tmp_path / "pets/images/train/b.jpg")
    torn = (tmp_path / "pets/images/train/b.jpg").read_bytes()
    (tmp_path / "pets/images/train/b.jpg").write_bytes(torn[: len(torn) // 2])
    put_text(tmp_path / "pets/labels/train/b.txt", "0 .5 .5 .2 .2\n")
    assert run(["data", "check", "--data", "pets", "--workers", "0"]) == 3
    assert "b.jpg" in Path("runs/check/check.html").read_text(encoding="utf-8")


def test_strict_training_stops_at_the_first_bad_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    put_yolo(tmp_path / "pets", "train", {"a": "0 .5 .5 .5 .5\n0 .9 .9 .8 .8\n", "b": "0 .5 .5 .5 .5\n"})
    assert run(["train", "--data", "pets", "--box-policy", "strict", "--epochs", "1"]) == 1
    message = capsys.readouterr().err
    assert "a.txt" in message
    assert "line 2" in message
    assert not Path("runs").exists()


def test_a_pipeline_file_is_named_by_augment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["data", "synth", "--output", "made", "--train", "2", "--val", "1", "width=64", "height=64"]) == 0
    text = "transform: {__class_fullname__: Compose, p: 1.0, transforms: [{__class_fullname__: InvertImg, p: 1.0}]}\n"
    put_text(tmp_path / "invert.yaml", text)
    plain = ["mosaic=0", "scale=0", "translate=0", "flip_horizontal=0", "hue=0", "saturation=0", "value=0"]
    common = ["data", "preview", "--data", "made", "--batches", "1", "--batch-size", "2", "--input-size", "64"]
    common += [f"augment.{option}" for option in plain]
    assert run([*common, "--name", "plain"]) == 0
    assert run([*common, "--name", "inverted", "--augment", "invert.yaml"]) == 0
    sheets = [read_image(next(Path("runs", name).glob("*.jpg"))).astype(float) for name in ("plain", "inverted")]
    # where the one is dark the other is bright; captions and frames are in both
    assert np.corrcoef(sheets[0].ravel(), sheets[1].ravel())[0, 1] < 0.2
    before = set(Path("runs").iterdir())
    put_text(tmp_path / "bad.yaml", "transform: {__class_fullname__: os.system}\n")
    for name in ("nowhere.yaml", "bad.yaml"):
        capsys.readouterr()
        assert run([*common, "--augment", name]) == 2
        assert name in capsys.readouterr().err
        assert run(["train", "--data", "made", "--epochs", "1", "--input-size", "64", "--augment", name]) == 2
        assert name in capsys.readouterr().err
    assert set(Path("runs").iterdir()) == before, "a training that cannot start leaves no folder"
