"""Reading one section key by key, with limits, and knowing afterwards which keys nobody asked for."""

from __future__ import annotations

from yolo.darknet.cfg import Section, shown
from yolo.errors import ConfigError

# darknet replaces an unknown activation by relu with a message; here it is an error.
ACTIVATIONS = (
    "elu", "hardtan", "leaky", "lhtan", "linear", "loggy", "logistic", "plse", "ramp", "relie", "relu", "selu",
    "stair", "tanh",
)  # fmt: skip


class Options:
    """A section and the keys read so far. Every reader raises a ConfigError that names the line."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self._asked: set[str] = set()

    def error(self, problem: str, *, key: str | None = None) -> ConfigError:
        """`SOURCE:LINE: [section] problem`, with the line of `key` where it is given."""
        return self.section.error(problem, key=key)

    def text(self, key: str, default: str) -> str:
        """The value as it stands."""
        self._asked.add(key)
        return self.section.text(key, default)

    def integer(self, key: str, default: int, *, least: int | None = None) -> int:
        """An integer that is not less than `least`."""
        self._asked.add(key)
        value = self.section.integer(key, default)
        if least is not None and value < least:
            raise self.error(f"{key} must be at least {least}, not {self._written(key, value)}", key=key)
        return value

    def flag(self, key: str) -> bool:
        """True for every integer but 0, the default."""
        return self.integer(key, 0) != 0

    def number(self, key: str, default: float, *, least: float | None = None, below: float | None = None) -> float:
        """A finite number, `least` <= number < `below`."""
        self._asked.add(key)
        value = self.section.number(key, default)
        if least is not None and value < least:
            raise self.error(f"{key} must be at least {least:g}, not {self._written(key, value)}", key=key)
        if below is not None and value >= below:
            raise self.error(f"{key} must be less than {below:g}, not {self._written(key, value)}", key=key)
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        """A comma-separated list, empty where the key is missing."""
        self._asked.add(key)
        return self.section.integers(key)

    def numbers(self, key: str) -> tuple[float, ...]:
        """A comma-separated list, empty where the key is missing."""
        self._asked.add(key)
        return self.section.numbers(key)

    def activation(self, default: str) -> str:
        """The name of a known activation."""
        name = self.text("activation", default)
        if name not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise self.error(f"unknown activation {shown(name)}; known are {known}", key="activation")
        return name

    def refuse(self, key: str, meaning: str) -> None:
        """Raise where `key` asks for something that gridyolo does not build."""
        self._asked.add(key)
        option = self.section.find(key)
        if option is not None and option.value is not None and option.value.lstrip("0.") != "":
            raise self.error(f"{key}={shown(option.value)}: gridyolo does not build {meaning}", key=key)

    def unused(self) -> list[str]:
        """A sentence for every option that had no effect: unknown, or a second one of the same key."""
        notes = []
        seen: set[str] = set()
        for option in self.section.options:
            where = f"in [{self.section.name}]"
            if option.key not in self._asked:
                notes.append(f"line {option.line}: unused key {shown(option.key)} {where}")
            elif option.key in seen:
                notes.append(f"line {option.line}: second {shown(option.key)} {where}: the first one counts")
            seen.add(option.key)
        return notes

    def _written(self, key: str, value: float) -> str:
        """The number, and what stands in the file where that reads differently."""
        text = self.section.text(key, "")
        return f"{value:g}" if text in ("", f"{value:g}") else f"{value:g} (read from {shown(text)})"
