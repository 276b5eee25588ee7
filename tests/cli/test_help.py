"""What --help prints: 80 columns, every option with what happens without it, and other names."""

import re
from typing import Any

import pytest

import yolo.config
from yolo.cli.help import help_of
from yolo.cli.main import run
from yolo.cli.positional import POSITIONAL, usage
from yolo.config.help_texts import option_helps

COMMANDS = sorted(POSITIONAL, key=lambda config: config.__name__)


@pytest.mark.parametrize("config", COMMANDS, ids=lambda config: config.__name__)
@pytest.mark.parametrize("columns", [80, 60])
def test_a_help_fits_its_terminal_and_names_all(
    config: type[Any], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = help_of("command", config, show_all=True)
    long_words = [line for line in text.splitlines() if len(line) > columns and len(line.split()) > 1]
    assert not long_words
    assert "_" not in re.sub(r"\b[\w{},.|]*_[\w{},.|]*", "", "".join(re.findall(r"--[\w.-]+", text)))
    for option in option_helps(config):
        shown = "augment" if option.name == "augment.pipeline" else option.name.replace("_", "-")
        assert re.search(rf"^  --{re.escape(shown)}\b", text, re.MULTILINE), option.name
        if option.default not in (None, "", (), {}) and option.kind is not bool:
            words = " ".join(text.split())
            assert "efault" in words[words.index(f" --{shown}") :][:900], option.name


def test_other_names_and_switches_are_shown() -> None:
    words = " ".join(help_of("predict", yolo.config.PredictConfig, show_all=False).split())
    assert "--score-threshold, --conf NUMBER|auto|FILE Show detections" in words
    assert "--labels, --no-labels Write class and score" in words
    assert "--device DEVICE The device to compute on: auto, cpu, cuda, cuda:1 or mps. Default: auto." in words
    assert words.index("--weights") < words.index("--source") < words.index("--limit")
    assert "--score-threshold, --conf NUMBER Leave out" in " ".join(
        help_of("val", yolo.config.ValConfig, show_all=False).split()
    )


def test_the_usage_has_the_words_without_an_option() -> None:
    assert usage("predict", yolo.config.PredictConfig) == "gridyolo predict WEIGHTS SOURCE... [options]"
    assert usage("data check", yolo.config.DataCheckConfig) == "gridyolo data check DATA [options]"
    assert usage("demo", yolo.config.DemoConfig) == "gridyolo demo [options]"


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ("help", "gridyolo 0"),
        ("--help", "gridyolo 0"),
        ("help train", "usage: gridyolo train DATA [options]"),
        ("--help train", "usage: gridyolo train DATA"),
        ("train -h", "usage: gridyolo train DATA"),
        ("train help", "usage: gridyolo train DATA"),
        ("train nowhere --epochs 3 --help", "usage: gridyolo train DATA"),
        ("train --nonsense --help", "usage: gridyolo train DATA"),
        ("help data", "gridyolo data: "),
        ("help data check", "usage: gridyolo data check DATA"),
        ("data help check", "usage: gridyolo data check DATA"),
        ("data --help check", "usage: gridyolo data check DATA"),
        ("data check -h", "usage: gridyolo data check DATA"),
        ("darknet show --help", "usage: gridyolo darknet show CFG WEIGHTS"),
        ("help validate", "usage: gridyolo val WEIGHTS DATA"),
    ],
)
def test_help_is_found_where_people_look(words: str, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words.split()) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(start)
    assert captured.err == ""


def test_front_pages_fit_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("help", "help data", "help darknet"):
        assert run(words.split()) == 0
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= 80, words
