"""Run an invented command line as the program does, and say what is wrong with how it ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from unittest import mock

from tests.cli.command_lines import CommandLine
from tests.cli.command_world import World, no_plots
from yolo.cli.main import run

# What the documentation says, `docs/design.md`.
_CODES = frozenset({0, 1, 2, 3, 130})
_MOST_LINES, _MOST_CHARACTERS = 8, 2500
# Words of libraries and of Python, which mean nothing to who typed a command.
JARGON = (
    "Traceback (most", "jsonargparse", "argparse", "Literal[", "Union[", "Optional[", "NoneType", "<class ",
    "<function",
    "object at 0x", "Namespace(", "ParserError", "ArgumentError", "yaml.scanner", "yaml.parser", "Errno",
    "Error(", "KeyError", "TypeError",
    "ValueError", "AttributeError", "IndexError", "RuntimeError", "AssertionError", "UnicodeDecodeError", "OpenCV(",
    "cv::", "Expected a", "Does not validate", "Validation failed", "site-packages", "PosixPath", "numpy.", "dtype(",
    "Warning:", "could not find expected", "while parsing", "while scanning", "codec can't", "surrogate",
)  # fmt: skip
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_GIGABYTES = 3
_CPU_SECONDS, _SECONDS, _HANGS = 4.0, 30.0, 240.0


class HangError(BaseException):
    """Neither interrupts nor four minutes ended the command."""


@dataclass(slots=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: its exit code; None where it raised.
        out: standard output.
        err: standard error.
        noise: what libraries wrote past Python's streams.
        raised: the exception that came out, as text.
        place: the innermost line of this package in its traceback.
        seconds: it took.
        interrupted: it was sent SIGINT, because it took long.
        changed: input files that are not as they were.
    """

    code: int | None = None
    out: str = ""
    err: str = ""
    noise: str = ""
    raised: str = ""
    place: str = ""
    seconds: float = 0.0
    interrupted: bool = False
    changed: list[str] = field(default_factory=list)


def run_command_line(line: CommandLine, world: World) -> Outcome:
    """Run it in the world's folder, which is as before afterwards."""
    outcome = Outcome()
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(world.folder))
        for name, content in line.files.items():
            Path(name).write_bytes(content)
        stack.enter_context(_environment(line))
        stack.enter_context(_streams(line, outcome))
        stack.enter_context(_limited_memory())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("default")
        stack.enter_context(_no_network())
        if not line.plots:
            stack.enter_context(no_plots())
        stack.enter_context(_interrupts(outcome))
        try:
            outcome.code = run(list(line.words))
        except BaseException as error:  # noqa: BLE001  # also what asks to leave
            outcome.raised = f"{type(error).__name__}: {str(error)[:300]}"
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/yolo/" in frame.filename]
            outcome.place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        outcome.changed = [name for name, content in line.files.items() if _content(name) != content]
    outcome.seconds = time.perf_counter() - began
    outcome.changed += [os.path.relpath(name, world.folder) for name in world.changed()]
    return outcome


def _content(name: str) -> bytes | None:
    path = Path(name)
    return path.read_bytes() if path.is_file() else None


def faults(line: CommandLine, outcome: Outcome) -> list[str]:
    """What is wrong with the end of a command, each in a few words."""
    found = [f"raised {outcome.raised} ({outcome.place})"] if outcome.raised else []
    found += [f"changed {name}" for name in outcome.changed]
    if outcome.raised:
        return found
    allowed = (
        _CODES - ({3} if line.words[:2] != ("data", "check") else set()) - ({130} if not outcome.interrupted else set())
    )
    if outcome.code not in allowed:
        found.append(f"ended with the exit code {outcome.code}")
    found += _faults_of_text(line, outcome)
    if line.words[-1:] == ("--json",) and "--" not in line.words and not outcome.interrupted:
        found += _fault_of_document(outcome)
    complains = outcome.err.startswith("error: ") or "\nerror: " in outcome.err
    if complains != (outcome.code in (1, 2)):
        found.append(f"exit code {outcome.code} with {'an' if complains else 'no'} error message")
    return found


def _faults_of_text(line: CommandLine, outcome: Outcome) -> list[str]:
    found = []
    typed = "\n".join((*line.words, *(content.decode("utf-8", "replace") for content in line.files.values())))
    both = f"{outcome.out}\n{outcome.err}\n{outcome.noise}"
    # Ctrl-C in a place that cannot be left so, such as a finaliser, is told by Python itself
    told = both if "Exception ignored in" not in both or not outcome.interrupted else ""
    found += [f"says {word!r}" for word in JARGON if word in told and word not in typed]
    if outcome.noise.strip():
        found.append(f"a library wrote: {outcome.noise.strip().splitlines()[0][:100]}")
    if "FORCE_COLOR" not in line.environment and (control := _CONTROL.search(both)):
        found.append(f"prints the control character {control.group()!r}")
    if outcome.code in (1, 2):
        message = outcome.err[max(outcome.err.rfind("error: "), 0) :]
        if (count := len(message.splitlines())) > _MOST_LINES:
            found.append(f"an error of {count} lines")
        elif len(message) > _MOST_CHARACTERS:
            found.append(f"an error of {len(message)} characters")
    return found


def _fault_of_document(outcome: Outcome) -> list[str]:
    """What is wrong with standard output where `--json` was asked for."""
    try:
        document = json.loads(outcome.out, parse_constant=_refuse)
    except ValueError as error:
        return [f"--json gives no JSON: {error}"]
    stated = document.get("exit_code") if isinstance(document, dict) else None
    return [] if stated == outcome.code else [f"--json says exit code {stated}, and it is {outcome.code}"]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


@contextlib.contextmanager
def _environment(line: CommandLine) -> Iterator[None]:
    before = dict(os.environ)
    for name, value in line.environment.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    tempfile.tempdir = None  # it is remembered otherwise
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        tempfile.tempdir = None


@contextlib.contextmanager
def _streams(line: CommandLine, outcome: Outcome) -> Iterator[None]:
    """Standard streams of that encoding, in place of Python's and of the process's."""
    out, err = io.BytesIO(), io.BytesIO()
    stdin = io.TextIOWrapper(io.BytesIO(line.stdin), encoding="utf-8")
    stdout = io.TextIOWrapper(out, encoding=line.encoding, errors="strict", newline="\n")
    stderr = io.TextIOWrapper(err, encoding=line.encoding, errors="backslashreplace", newline="\n")
    with tempfile.TemporaryFile() as noise, mock.patch.multiple(sys, stdin=stdin, stdout=stdout, stderr=stderr):
        kept = [os.dup(number) for number in (1, 2)]
        for number in (1, 2):
            os.dup2(noise.fileno(), number)
        try:
            yield
        finally:
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            for stream in (stdout, stderr):
                with contextlib.suppress(ValueError, UnicodeError):  # it was closed, or cannot hold the text
                    stream.flush()
            outcome.out, outcome.err = (data.getvalue().decode(line.encoding, "replace") for data in (out, err))
            noise.seek(0)
            outcome.noise = noise.read().decode("utf-8", "replace")
            stdout.detach()  # or its end would close what was read
            stderr.detach()


@contextlib.contextmanager
def _limited_memory() -> Iterator[None]:
    """As on a small machine: a hostile size is refused by the system instead of filling this one."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (_GIGABYTES << 30), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextlib.contextmanager
def _no_network() -> Iterator[None]:
    """Names of machines are not looked up."""
    with mock.patch("socket.getaddrinfo", side_effect=OSError("no network in this test")):
        yield


@contextlib.contextmanager
def _interrupts(outcome: Outcome) -> Iterator[None]:
    """What takes long gets Ctrl-C, once and again; what does not end then has hung."""
    began = last = (time.process_time(), time.perf_counter())

    def look(number: int, frame: FrameType | None) -> None:
        nonlocal last
        cpu, clock = time.process_time(), time.perf_counter()
        if clock - began[1] > _HANGS:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise HangError("".join(traceback.format_stack(frame)[-3:]))
        if cpu - last[0] > _CPU_SECONDS or clock - last[1] > _SECONDS:  # a busy machine is no reason
            outcome.interrupted, last = True, (cpu, clock)
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
