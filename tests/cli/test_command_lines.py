"""Invented command lines end as documented; `python tools/fuzz_cli.py` tries as many as there is time for."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

from tests.cli import command_judge
from tests.cli.command_judge import faults, run_command_line
from tests.cli.command_lines import CommandLine, command_lines
from tests.cli.command_search import Search, simpler
from tests.cli.command_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), with_runs=False)


@settings(max_examples=25, derandomize=True, database=None, phases=[Phase.generate])
@given(line=command_lines())
def test_no_command_line_ends_in_an_undocumented_way(world: World, line: CommandLine) -> None:
    assert not faults(line, run_command_line(line, world)), str(line)


@pytest.mark.slow
@settings(max_examples=400, derandomize=True, database=None, phases=[Phase.generate])
@given(line=command_lines())
def test_nor_do_many_more_with_run_folders(whole_world: World, line: CommandLine) -> None:
    assert not faults(line, run_command_line(line, whole_world)), str(line)


@pytest.fixture(scope="module")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def fails(words: Sequence[str]) -> int:
    raise KeyError("layers")


def leaves(words: Sequence[str]) -> int:
    raise SystemExit(2)


def says(text: str, code: int = 0, *, to_err: bool = False) -> Callable[[Sequence[str]], int]:
    def command(words: Sequence[str]) -> int:
        print(text, file=sys.stderr if to_err else sys.stdout)
        return code

    return command


def writes(path: str) -> Callable[[Sequence[str]], int]:
    def command(words: Sequence[str]) -> int:
        Path(path).write_text("new")
        return 0

    return command


def shouts(words: Sequence[str]) -> int:
    os.write(2, b"[ WARN:0@1.2] global loadsave.cpp")
    return 0


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (says("results: runs/predict"), None),
        (says("error: nowhere: no such file", 1, to_err=True), None),
        (writes("new.txt"), None),
        (fails, "raised KeyError: 'layers'"),
        (leaves, "raised SystemExit: 2"),
        (says("", 4), "ended with the exit code 4"),
        (says("", 3), "ended with the exit code 3"),  # is that of `data check` alone
        (says("", 1), "exit code 1 with no error message"),
        (says("error: a", 0, to_err=True), "exit code 0 with an error message"),
        (says("error: Expected a <class 'int'>", 2, to_err=True), "says '<class '"),
        (says("error: " + "a\n" * 30, 2, to_err=True), "an error of 31 lines"),
        (says("error: " + "a" * 9000, 1, to_err=True), "an error of 9008 characters"),
        (says("a\x1b[31m"), "prints the control character"),
        (writes("in/notes.txt"), "changed in/notes.txt"),
        (writes("options.yaml"), "changed options.yaml"),
        (shouts, "a library wrote: [ WARN"),
    ],
)
def test_what_is_wrong_with_an_end_is_seen(
    world: World, monkeypatch: pytest.MonkeyPatch, command: Callable[[Sequence[str]], int], fault: str | None
) -> None:
    monkeypatch.setattr(command_judge, "run", command)
    line = CommandLine(words=("train",), files={"options.yaml": b"a: 1"})
    found = faults(line, run_command_line(line, world))
    assert any(one.startswith(fault) for one in found) if fault else not found
    assert (world.folder / "in" / "notes.txt").read_text() == "Nothing of interest.\n"
    assert sorted(path.name for path in world.folder.iterdir()) == ["in"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"exit_code": 0}', None),
        ('{"exit_code": 1}', "--json says exit code 1, and it is 0"),
        ('{"exit_code": 0, "map_50": NaN}', "--json gives no JSON: NaN"),
        ("results: runs", "--json gives no JSON"),
        ("[]", "--json says exit code None"),
    ],
)
def test_a_document_is_checked(world: World, monkeypatch: pytest.MonkeyPatch, text: str, fault: str | None) -> None:
    monkeypatch.setattr(command_judge, "run", says(text))
    line = CommandLine(words=("val", "--json"))
    found = faults(line, run_command_line(line, world))
    assert found[0].startswith(fault) if fault else not found


def test_an_encoding_that_cannot_hold_the_text_is_that_of_a_real_console(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_judge, "run", says("caf\xe9"))
    assert not faults(*(line := CommandLine(words=(), encoding="cp1252"), run_command_line(line, world)))
    line = CommandLine(words=(), encoding="ascii")
    assert faults(line, run_command_line(line, world))[0].startswith("raised UnicodeEncodeError")


def test_a_failure_is_shown_with_as_few_words_as_cause_it(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(words: Sequence[str]) -> int:
        if "--wrong" in words:
            raise KeyError
        return 0

    monkeypatch.setattr(command_judge, "run", command)
    search = Search(world, until=float("inf"), slow=60)
    search.try_line(CommandLine(words=("train", "--data", "d", "--wrong", "x"), environment={"HOME": None}))
    search.try_line(CommandLine(words=("train", "--wrong")))  # is the same failure
    assert list(search.found.values()) == [2]
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.startswith("gridyolo")] == ["gridyolo --wrong"]


def test_a_line_can_be_typed_in_a_shell() -> None:
    line = CommandLine(
        words=("predict", "--source", "it's.jpg", "\x1b"),
        files={"a.yaml": b"a: 1\n"},
        environment={"HOME": None, "TERM": "dumb"},
        encoding="ascii",
    )
    assert str(line).splitlines() == [
        "printf '%b' 'a: 1\\n' > a.yaml",
        "env -u HOME TERM=dumb PYTHONIOENCODING=ascii gridyolo predict --source 'it'\"'\"'s.jpg' $'\\x1b'",
    ]
    assert CommandLine(words=("predict",), files=line.files, environment=line.environment) not in simpler(line)
    assert len(list(simpler(CommandLine(words=("a", "b"))))) == 3
