"""Search invented command lines for those that end in a way that no command should, and make them short.

Left out: what a line is (`command_lines`), what it works on (`command_world`), and what is wrong (`command_judge`).
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.cli.command_judge import faults, run_command_line
from tests.cli.command_lines import CommandLine, command_lines
from tests.cli.command_world import World

_LINES_PER_SEED = 200
_SECONDS_TO_SHORTEN = 20


class Search:
    """What was tried, and what was found.

    Attributes:
        found: the kinds of failures.
    """

    def __init__(self, world: World, *, until: float, slow: float) -> None:
        self.found: dict[str, int] = {}
        self._world, self._until, self._slow = world, until, slow
        self._codes: Counter[str] = Counter()

    @property
    def is_over(self) -> bool:
        """True when the time is up."""
        return time.monotonic() > self._until

    def lines_of(self, number: int, command: str | None) -> None:
        """Try the command lines of a seed."""

        @seed(number)
        @settings(
            max_examples=_LINES_PER_SEED,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(command_lines(command))
        def each(line: CommandLine) -> None:
            if not self.is_over:
                self.try_line(line)

        each()

    def try_line(self, line: CommandLine) -> None:
        """Run a line, and print it, made short, where it shows something new."""
        outcome = run_command_line(line, self._world)
        self._codes["interrupted" if outcome.interrupted else str(outcome.code)] += 1
        if outcome.seconds > self._slow:
            print(f"{outcome.seconds:.1f} s: {line}\n", flush=True)
        for fault in faults(line, outcome):
            kind = kind_of(fault)
            self.found[kind] = self.found.get(kind, 0) + 1
            if self.found[kind] == 1:
                short = self._shortened(line, kind)
                last = run_command_line(short, self._world)
                said = (last.err.strip() or last.out.strip())[-600:]
                print(f"FOUND {fault}\n{short}\n  {said}\n  {last.place}\n", flush=True)

    def _shortened(self, line: CommandLine, kind: str) -> CommandLine:
        """The line with everything left out without which it fails the same way."""
        until = time.monotonic() + _SECONDS_TO_SHORTEN
        is_shorter = True
        while is_shorter:
            is_shorter = False
            for shorter in simpler(line):
                if time.monotonic() > until:
                    return line
                if kind in map(kind_of, faults(shorter, run_command_line(shorter, self._world))):
                    line, is_shorter = shorter, True
                    break
        return line

    def summarise(self) -> None:
        """Print how many lines were tried, how they ended, and every kind of failure with its number."""
        endings = ", ".join(f"{code}: {count}" for code, count in self._codes.most_common())
        print(f"{self._codes.total()} command lines, by exit code: {endings}")
        for kind, count in sorted(self.found.items(), key=lambda one: -one[1]):
            print(f"  {count:5}  {kind}")


def simpler(line: CommandLine) -> Iterator[CommandLine]:
    """Lines with one thing less."""
    plain: dict[str, Any] = {"environment": {}, "encoding": "utf-8", "stdin": b"", "plots": False}
    for name, value in plain.items():
        if getattr(line, name) != value:
            yield replace(line, **{name: value})
    for name in line.files:
        yield replace(line, files={other: line.files[other] for other in line.files if other != name})
    for count in (4, 2, 1):
        for place in range(len(line.words) - count, -1, -1):
            yield replace(line, words=line.words[:place] + line.words[place + count :])


def kind_of(fault: str) -> str:
    """A fault without what differs from line to line."""
    return re.sub(r"'[^']{12,}'|\"[^\"]{12,}\"|\d{3,}|0x\w+|in/\S+|runs/\S+", "...", fault)[:160]
