from pathlib import Path

import pytest

from yolo.cli.command_words import command_words
from yolo.cli.words import Known, Line, read_line
from yolo.config.foreign_options import OPTIONS, is_foreign_switch
from yolo.errors import ConfigError

OPTIONS_HERE = ("weights", "source", "conf", "track", "report", "name", "save")


def known(options: tuple[str, ...] = OPTIONS_HERE) -> Known:
    return Known("gridyolo predict", options, ("track", "report"), OPTIONS.__contains__, is_foreign_switch)


def read(*words: str, options: tuple[str, ...] = OPTIONS_HERE) -> tuple[dict[str, str], list[str]]:
    line = read_line(words, known(options))
    return {option.name: option.value for option in line.options}, line.positional


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "options", "positional"),
    [
        (["W", "a.jpg"], {}, ["W", "a.jpg"]),
        (["W", "--conf", "0.5", "a.jpg"], {"conf": "0.5"}, ["W", "a.jpg"]),
        (["--conf=0.5", "W", "a.jpg"], {"conf": "0.5"}, ["W", "a.jpg"]),
        (["W", "conf=0.5", "a.jpg"], {"conf": "0.5"}, ["W", "a.jpg"]),
        (["--Conf", "0.5", "--SAVE=csv"], {"conf": "0.5", "save": "csv"}, []),
        (["W", "-img.jpg", "-"], {}, ["W", "-img.jpg", "-"]),
        (["W", "-1"], {}, ["W", "-1"]),
        (["-thresh", ".5", "W"], {"thresh": ".5"}, ["W"]),
        (["W", "--", "--conf", "-h"], {}, ["W", "--conf", "-h"]),
        (["--name", "-x"], {"name": "-x"}, []),
        (["--name="], {"name": ""}, []),
        (["--track", "W"], {"track": "true"}, ["W"]),
        (["--track", "0"], {"track": "true"}, ["0"]),  # camera 0
        (["--track", "No", "W"], {"track": "No"}, ["W"]),
        (["--track=0", "W"], {"track": "0"}, ["W"]),
        (["--no-report"], {"report": "false"}, []),
        (["--no-report=false"], {"report": "true"}, []),
        (["--half", "W"], {"half": "true"}, ["W"]),
        (["--exist-ok", "true", "W"], {"exist_ok": "true"}, ["W"]),
    ],
)
def test_options_and_other_words(words: list[str], options: dict[str, str], positional: list[str]) -> None:
    assert read(*words) == (options, positional)


def test_a_flag_takes_0_and_1_where_no_camera_can_be_meant() -> None:
    assert read("--report", "0", "x", options=("report", "data")) == ({"report": "0"}, ["x"])


def test_several_sources_end_at_the_next_option() -> None:
    line = read_line(["--source", "a", "-b.jpg", "[1].jpg", "--track", "W"], known())
    assert [option.value for option in line.options if option.name == "source"] == ["a", "-b.jpg", "[1].jpg"]
    assert line.positional == ["W"]


def test_a_file_may_be_called_as_an_option_is_written(folder: Path) -> None:
    (folder / "a=b.jpg").touch()
    (folder / "-c").touch()
    assert read("W", "a=b.jpg", "-c") == ({}, ["W", "a=b.jpg", "-c"])
    (folder / "conf=0.5").touch()
    with pytest.raises(ConfigError, match=r"'conf=0.5' is an option, and a file; write ./conf=0.5 or --conf=0.5"):
        read("W", "conf=0.5")
    assert read("W", "./conf=0.5") == ({}, ["W", "./conf=0.5"])
    assert read("W", "--conf=0.5") == ({"conf": "0.5"}, ["W"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--name"], "--name needs a value"),
        (["--name", "--track"], r"--name needs a value \(one with dashes is --name=VALUE\)"),
        (["-x", "W"], "unknown option -x; options begin with two dashes"),
        (["--no-report=maybe"], "--no-report is true or false, got 'maybe'"),
    ],
)
def test_what_is_no_option_gets_one_line(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(*words)


def test_help_may_stand_anywhere_before_the_end_of_options() -> None:
    for words in (["-h"], ["W", "--help"], ["--name", "x", "--help"], ["--nonsense", "--help"]):
        assert read_line(words, known()) == Line(help="short")
    assert read_line(["W", "--help-all"], known()).help == "all"
    assert read_line(["W", "--", "--help"], known()).help == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train data=d", "train data=d"),
        ("detect train data=d", "train data=d"),
        ("yolo detect predict source=x", "predict source=x"),
        ("task=detect mode=train model=yolov1", "train model=yolov1"),
        ("model=W mode=val data=d", "val model=W data=d"),
        ("mode=track source=x", "predict --track source=x"),
        ("detect --weights W", "predict --weights W"),
        ("TEST W d", "val W d"),
        ("check d", "data check d"),
        ("detector train o.data own.cfg w.conv.15",
         "train --data o.data --cfg own.cfg --weights w.conv.15"),
        ("detector test o.data own.cfg w.weights a.jpg -thresh 0.1",
         "predict --cfg own.cfg --weights w.weights a.jpg -thresh 0.1"),
        ("yolo test yolov1.cfg w.weights a.jpg", "predict --cfg yolov1.cfg --weights w.weights a.jpg"),
        ("train --cfg own.cfg --data d", "train --cfg own.cfg --data d"),
        ("trian d", "trian d"),
        ("", ""),
    ],
)  # fmt: skip
def test_commands_in_the_order_of_other_packages(words: str, expected: str) -> None:
    assert command_words(words.split()) == expected.split()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "model=W"], "gridyolo export does not exist yet"),
        (["mode=export"], "gridyolo export does not exist yet"),
        (["segment", "train"], "task segment is not done here"),
        (["task=pose", "mode=train"], "task pose is not done here"),
        (["benchmark"], "does not exist"),
        (["resume"], "is an option: gridyolo train --resume"),
        (["detector", "fly"], "detector fly is not a command"),
    ],
)
def test_what_is_not_done_here_is_answered(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        command_words(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "classes", "positional"),
    [
        (["W", "a.jpg", "--classes", "0", "2"], "0,2", ["W", "a.jpg"]),
        (["--classes", "0", "2", "W", "a.jpg"], "0,2", ["W", "a.jpg"]),
        (["W", "a.jpg", "--classes", "cat", "big dog"], "cat,big dog", ["W", "a.jpg"]),
        (["--classes", "cat", "W", "a.jpg"], "cat", ["W", "a.jpg"]),
        (["W", "--classes", "cat", "0"], "cat", ["W", "0"]),  # camera 0
    ],
)
def test_several_classes_may_follow_one_another(words: list[str], classes: str, positional: list[str]) -> None:
    assert read(*words, options=(*OPTIONS_HERE, "classes")) == ({"classes": classes}, positional)


def test_a_class_is_no_file_that_is_there(folder: Path) -> None:
    (folder / "2").mkdir()
    options = (*OPTIONS_HERE, "classes")
    assert read("W", "--classes", "0", "2", options=options) == ({"classes": "0"}, ["W", "2"])
