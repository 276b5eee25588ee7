"""How commands end: for people, with --quiet and with --json."""

import json
import math
import shlex
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.dataset_trees import put_yolo
from tests.engine.test_evaluate_files import GOOD, write_detections, write_ground_truth
from yolo.cli import commands
from yolo.cli.ending import INTERRUPTED, Ending, document, take_manner
from yolo.cli.main import run
from yolo.errors import SaveError

KEYS = ["command", "status", "exit_code", "folder", "files", "look_at", "results", "warnings", "next"]
SYNTH = ["data", "synth", "--output", "made here", "--train", "4", "--val", "2", "width=64", "height=64"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def as_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any], str]:
    """The exit code, the document and standard error of a command with --json."""
    capsys.readouterr()
    code = run([*words, "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def test_the_last_lines_say_what_was_written_and_what_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SYNTH) == 0
    *_, written, following = capsys.readouterr().out.splitlines()
    assert written == "written: 'made here'"
    assert following == "next:    gridyolo train --data 'made here/dataset.yaml'"
    assert run(["data", "check", "--data", "made here", "--workers", "0"]) in (0, 3)
    *_, written, look_at, following = capsys.readouterr().out.splitlines()
    assert (written, look_at) == ("written: runs/check", "look at: runs/check/check.html")
    program, *words = shlex.split(following.removeprefix("next:"))
    assert program == "gridyolo"
    assert run(words) == 0, "the next command works as it stands"


def test_quiet_prints_nothing_but_errors_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SYNTH, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert run(["--quiet", "data", "synth", "--output", "made here"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: made here: exists")
    assert run(["data", "synth", "--output", "few", "--train", "6", "width=64", "height=64", "val=1", "-q"]) == 0
    assert run(["data", "split", "--data", "few", "--output", "parts", "-q"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(line.startswith("warning: ") for line in captured.err.splitlines())
    assert captured.err


def test_json_is_one_document_and_the_text_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, content, err = as_json(SYNTH, capsys)
    assert code == 0
    assert list(content) == KEYS
    assert (content["command"], content["status"], content["exit_code"]) == ("data synth", "ok", 0)
    assert content["folder"] == "made here"
    assert content["files"] == ["made here/dataset.yaml"]
    assert "train: 4 images" in err
    code, content, err = as_json(["data", "stats", "--data", "made here", "--quiet"], capsys)
    assert content["results"]["statistics"]["images"] == 4
    assert content["next"].startswith("gridyolo train --data 'made here' --input-size ")
    assert (code, err) == (0, "")


def test_a_check_that_found_errors_has_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    put_yolo(Path("pets"), "train", {"a": "0 .5 .5 .5 .5\n", "b": "7.5 nonsense\n"})
    code, content, _ = as_json(["data", "check", "--data", "pets", "--workers", "0"], capsys)
    assert (code, content["status"], content["exit_code"]) == (3, "found_errors", 3)
    assert content["results"]["counts"]["error"] >= 1
    assert content["next"] == "gridyolo data check --data pets --fix-into pets-fixed"
    assert run(shlex.split(content["next"])[1:]) == 3
    assert Path("pets-fixed/dataset.yaml").is_file()


def test_report_and_compare_have_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    write_ground_truth(Path("truth.json"))
    write_detections(Path("good.json"), GOOD)
    words = ["report", "--ground-truth=truth.json", "--detections=good.json", "--no-pictures", "bootstrap=0"]
    code, content, _ = as_json(words, capsys)
    metrics = json.loads(Path("runs/report/metrics.json").read_text())
    assert (code, content["results"]["map_50"]) == (0, metrics["map_50"])
    assert content["look_at"] == "runs/report/report.html"
    assert "runs/report/metrics.json" in content["files"]
    words = ["compare", "good.json", "good.json", "--ground-truth=truth.json", "--no-pictures", "bootstrap=100"]
    code, content, _ = as_json(words, capsys)
    numbers = content["results"]["numbers"]["map_50"]
    assert (numbers["a"], numbers["b"]) == (metrics["map_50"], metrics["map_50"])
    assert content["results"]["images"] == 2


@pytest.mark.parametrize(
    ("words", "command", "code", "message"),
    [
        (["trian"], "trian", 2, "did you mean train"),
        (["train"], "train", 2, "--data is required"),
        (["val", "--weights", "w", "--data", "d", "--epochs", "3"], "val", 2, "epochs"),
        (["predict", "--weights", "none", "--source", "none.jpg"], "predict", 1, "none.jpg"),
        (["info", "--weights", "none.safetensors"], "info", 1, "none.safetensors"),
        (["report", "--ground-truth", "no.json", "--detections", "no.json"], "report", 1, "no.json"),
        (["compare", "one"], "compare", 2, "gridyolo compare A B"),
        (["demo", "--epochs", "0"], "demo", 2, "epochs"),
        (["darknet", "show", "--cfg", "none"], "darknet show", 2, "none"),
        (["darknet", "import", "--weights", "none.weights"], "darknet import", 1, "none"),
        (["darknet", "export", "--weights", "none.safetensors"], "darknet export", 1, "none.safetensors"),
        (["data", "check", "--data", "nowhere"], "data check", 1, "nowhere"),
        (["data", "stats", "--data", "nowhere"], "data stats", 1, "nowhere"),
        (["data", "preview", "--data", "nowhere"], "data preview", 1, "nowhere"),
        (["data", "convert", "--data", "nowhere", "--output", "o"], "data convert", 1, "nowhere"),
        (["data", "split", "--data", "nowhere", "--output", "o"], "data split", 1, "nowhere"),
        (["data", "synth", "--output", "o", "--train", "0"], "data synth", 2, "train"),
        (["data", "download", "--dataset", "none"], "data download", 2, "none"),
    ],
)
def test_a_command_that_fails_is_a_document_with_its_error(
    words: list[str], command: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    returned, content, err = as_json(words, capsys)
    assert returned == code
    assert list(content) == [*KEYS[:3], "error", *KEYS[3:]]
    assert (content["command"], content["status"], content["exit_code"]) == (command, "failed", code)
    assert message in content["error"]
    assert err == f"error: {content['error']}\n"


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [(KeyboardInterrupt, 130, "interrupted"), (BrokenPipeError, 1, "failed"), (SaveError("full"), 1, "failed")],
)
def test_however_a_command_ends_there_is_a_document(
    error: Any, code: int, status: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(words: list[str]) -> Ending:
        print("half a line", end="")
        raise error

    monkeypatch.setattr(commands, "info_command", fail)
    returned, content, err = as_json(["info"], capsys)
    assert (returned, content["status"], content["exit_code"]) == (code, status, code)
    assert "Traceback" not in err


def test_an_error_of_ours_is_a_document_and_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(words: list[str]) -> Ending:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(commands, "info_command", fail)
    with pytest.raises(ZeroDivisionError):
        run(["info", "--json"])
    content = json.loads(capsys.readouterr().out)
    assert (content["status"], content["error"]) == ("failed", "ZeroDivisionError: by zero")


def test_ctrl_c_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "info_command", lambda words: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        assert run(["info"]) == INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr() == ("", "interrupted\n")


def test_what_json_has_no_word_for() -> None:
    ending = Ending(
        results={"nan": math.nan, "array": np.array([1.5, np.inf]), "path": Path("a b"), "t": {3: (np.int64(2), True)}},
        files=[Path("nowhere")],
    )
    results = json.loads(document("val", ending, warnings=["w"]))["results"]
    assert results == {"nan": None, "array": [1.5, None], "path": "a b", "t": {"3": [2, True]}}


def test_words_that_are_values_stay() -> None:
    words = ["predict", "--", "--json"]
    assert take_manner(words) == (words, (False, False))
    assert take_manner(["val", "--json=true", "--quiet=false"]) == (["val"], (False, True))


def test_what_every_document_has_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/scripts.md").read_text(encoding="utf-8")
    for key in (*KEYS, "error"):
        assert f"| `{key}` |" in page
