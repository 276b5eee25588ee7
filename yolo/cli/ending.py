"""How every command ends: `Ending` says what was written, where to look and what to type next.

People get three lines of it at the end of the text on standard output. With `--json` a program gets one JSON document
there and nothing else; the text goes to standard error. With `--quiet` there is no text but errors and warnings. The
keys of the document are in docs/scripts.md.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from yolo.console import say
from yolo.errors import printable, terminal_text

if TYPE_CHECKING:
    from rich.console import Console

# of `ConfigError`, wrong usage, it is 2
SUCCESS, FAILURE, FOUND_ERRORS, INTERRUPTED = 0, 1, 3, 130
_STATUS = {SUCCESS: "ok", FOUND_ERRORS: "found_errors", INTERRUPTED: "interrupted"}
_ON = ("--quiet", "-q", "--json")
_WITH_VALUE = {f"{name}={value}": value == "true" for name in ("--quiet", "--json") for value in ("true", "false")}
# Commands that have commands of their own.
_GROUPS = ("data", "darknet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a command ended.

    Attributes:
        exit_code: of the process.
        folder: where everything is that was written; None where it is not in one folder, or nothing was.
        files: the main files that were written, or that `folder` had before; those that do not exist are left out.
        look_at: the file or folder to open first; None where there is nothing to see.
        next_command: the arguments of a command that can be run next as printed; empty if it depends on the user.
        results: the numbers, by names that docs/scripts.md explains.
    """

    exit_code: int = SUCCESS
    folder: Path | None = None
    files: Sequence[Path] = ()
    look_at: Path | None = None
    next_command: Sequence[str | Path] = ()
    results: Mapping[str, Any] = field(default_factory=dict)


class Manner(NamedTuple):
    """What of a command is printed."""

    quiet: bool = False
    json: bool = False


def take_manner(words: Sequence[str]) -> tuple[list[str], Manner]:
    """Take `--quiet` and `--json` out of a command line, wherever they stand before `--`.

    >>> take_manner(["train", "--quiet", "--data", "d"])
    (['train', '--data', 'd'], Manner(quiet=True, json=False))
    """
    end = words.index("--") if "--" in words else len(words)
    chosen = dict.fromkeys(("quiet", "json"), False)
    rest = []
    for word in words[:end]:
        if word in _ON or word in _WITH_VALUE:
            name = "json" if "json" in word else "quiet"
            chosen[name] = _WITH_VALUE.get(word, True)
        else:
            rest.append(word)
    return [*rest, *words[end:]], Manner(**chosen)


@contextmanager
def streams(manner: Manner) -> Iterator[TextIO]:
    """Send the text of a command where its manner wants it; yields the standard output that it had before."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        target = nowhere if manner.quiet else sys.stderr if manner.json else sys.stdout
        before = sys.stdout
        with redirect_stdout(target):
            yield before


def command_name(words: Sequence[str]) -> str:
    """The command of a command line, as documents name it.

    >>> command_name(["data", "check", "pets"]), command_name(["val"]), command_name([])
    ('data check', 'val', '')
    """
    return " ".join(words[: 2 if words[:1] and words[0] in _GROUPS else 1])


def print_ending(ending: Ending, console: Console) -> None:
    """Print what was written, where to look and what next, in words that can be pasted into a shell."""
    if written := _written(ending):
        say(console, f"written: {shell_words(written)}")
    if ending.look_at is not None and ending.look_at.exists():
        say(console, f"look at: {shell_words([ending.look_at])}")
    if ending.next_command:
        say(console, f"next:    {shell_words(ending.next_command)}")


def near(path: Path) -> Path:
    """A path as short as it can be typed here: relative if it is below the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _written(ending: Ending) -> list[Path]:
    return [ending.folder] if ending.folder is not None else [path for path in ending.files if path.exists()]


def shell_words(words: Sequence[str | Path]) -> str:
    """Words as they can be pasted into the shell of this system.

    >>> shell_words(["gridyolo", "info", "my best.safetensors"])
    "gridyolo info 'my best.safetensors'"
    """
    texts = [printable(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)


def document(command: str, ending: Ending, *, warnings: Sequence[str], error: str = "") -> str:
    """The one JSON document of `--json`; `error` is the message of a command that failed."""
    failed = {"error": error} if error else {}
    content = {
        "command": command,
        "status": _STATUS.get(ending.exit_code, "failed"),
        "exit_code": ending.exit_code,
        **failed,
        "folder": ending.folder,
        "files": [path for path in ending.files if path.exists()],
        "look_at": ending.look_at if ending.look_at is not None and ending.look_at.exists() else None,
        "results": ending.results,
        "warnings": list(warnings),
        "next": shell_words(ending.next_command) if ending.next_command else None,
    }
    return json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """A value in JSON's own types: null for what is not a finite number, texts printable."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return terminal_text(value)
    if isinstance(value, Path):
        return printable(value)
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(one) for key, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return _plain(value.tolist())
    return [_plain(one) for one in value]
