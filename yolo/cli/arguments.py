"""From the arguments of a command line, and files of options, to a checked configuration.

Any spelling of an option is understood (`words`), words without one (`positional`), and the names that users of other
packages know (`config.options.ALIASES`, `config.foreign_options`). Values may come from a YAML file (`config_file`);
the command line wins.

Commands that have commands of their own, such as `gridyolo data check`, choose among them by `run_action`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import yaml

from yolo.cli.config_file import looks_like_options, read_options
from yolo.cli.ending import Ending
from yolo.cli.positional import assign
from yolo.cli.words import HELP_WORDS, SEVERAL, Known, Line, Written, exists, key_of, read_line
from yolo.config.foreign_options import OPTIONS, UnsupportedError, is_foreign_switch, meaning_of
from yolo.config.from_python import build_config
from yolo.config.from_text import typed_value
from yolo.config.options import ALIASES, nearest_option, option_types
from yolo.console import stdout, warn
from yolo.errors import ConfigError, excerpt, printable, shown
from yolo.files import expand_home

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Config = TypeVar("Config", bound="DataclassInstance")
# Options that follow from those that are given.
Defaults = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]

# What commands work on: required, and different from run to run.
_INPUTS = ("data", "weights", "source", "ground_truth", "detections", "a", "b", "output", "dataset")
# A dotted key in a message, with nothing of a path or an assignment around it.
_KEY = re.compile(r"(?<![^\s(])[a-z_]+(\.[a-z_]+)*(?=[\s,;:]|$)")


def parse(
    command: str, config_class: type[Config], words: Sequence[str], *, defaults: Defaults | None = None
) -> Config:
    """Make the configuration of a command.

    Args:
        command: its name, for help and messages.
        config_class: what to make.
        words: the command line after the command.
        defaults: by dotted key, in place of those of `config_class`; or what makes them of the options that are given.

    Raises:
        ConfigError: an unknown option, a value of the wrong kind, or a combination that makes no sense.
        SystemExit: after --help, --help-all or --print-config.
    """
    reading = _Reading(command, config_class)
    line = reading.read(words)
    if line.help:
        from yolo.cli.help import help_of

        print(help_of(command, config_class, show_all=line.help == "all"))
        raise SystemExit(0)
    if reading.notes:
        warn(stdout(), *reading.notes)
    values = reading.values
    further = defaults(values) if callable(defaults) else defaults or {}
    try:
        if line.print_config:
            _print_config(config_class, values, further)
            raise SystemExit(0)
        return build_config(config_class, values, defaults=further)
    except ConfigError as error:
        raise ConfigError(reading.as_written(str(error))) from None


def given_options(command: str, config_class: type[Any], words: Sequence[str]) -> frozenset[str]:
    """Dotted names of the options that a command line and its --config file set, with whatever values."""
    reading = _Reading(command, config_class)
    reading.read(words)
    return frozenset(reading.values)


def _print_config(config_class: type[Any], values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Print a configuration as YAML. Inputs may be missing: a file of options is used with several."""
    kinds = option_types(config_class)
    unknown = {name: "-" for name in _INPUTS if name in kinds and not {**defaults, **values}.get(name)}
    # an option with a default is not missing
    unknown = {name: word for name, word in unknown.items() if not _default_of(config_class, name)}
    suffixes = {"DarknetImportConfig": ".safetensors", "DarknetExportConfig": ".weights"}
    if "output" in unknown:
        unknown["output"] += suffixes.get(config_class.__name__, "")
    checked = build_config(config_class, {**values, **unknown}, defaults=defaults)
    print(yaml.safe_dump(_plain(asdict(checked)) | dict.fromkeys(unknown, ""), sort_keys=False), end="")


def _default_of(config_class: type[Any], name: str) -> Any:
    return config_class.__dataclass_fields__[name].default


def _plain(value: Any) -> Any:
    """A value without tuples, which are not YAML's."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


@dataclass
class _Reading:
    """A command line while it is read: values of options by dotted key, with the types that they have."""

    command: str
    config_class: type[Any]
    values: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kinds = option_types(self.config_class)
        self.known = Known(
            command=f"gridyolo {self.command}",
            options=frozenset(self.kinds),
            flags=frozenset(name for name, kind in self.kinds.items() if kind is bool),
            is_foreign=lambda name: name in OPTIONS or name == "model",
            is_switch=self._is_switch,
        )
        self.added: list[str] = []  # formats, to those of --save
        self.written: dict[str, str] = {}  # how the user writes the options of `values`

    def _is_switch(self, name: str) -> bool:
        """Whether it may stand without a value, as others write it."""
        is_ours = name in self.kinds or ALIASES.get(name) in self.kinds
        return is_foreign_switch(name) and (name == "cache" or not is_ours)

    def read(self, words: Sequence[str]) -> Line:
        line = read_line(words, self.known)
        if line.help:
            return line
        for option in line.options:
            if _is_file(option):
                self._file(option.value)
        in_files = frozenset(self.values)
        resolved = [self._resolved(option) for option in line.options if not _is_file(option)]
        given = {name for name, _, _ in resolved}
        positional = assign(line.positional, self.command, self.config_class, given=given, in_files=in_files)
        self._check_positional(line.positional, positional)
        resolved.extend(map(self._resolved, positional))
        for name, value, spelled in resolved:
            if name == "save" and isinstance(value, str) and value.startswith("+"):
                self.added.append(value[1:])
            elif name and name != SEVERAL:
                self._set(name, value, spelled)
        self._set_sources([str(value) for name, value, _ in resolved if name == SEVERAL])
        if self.added:
            self.values["save"] = ",".join([self.values.get("save") or "json", *self.added])
        self._check_data()
        return line

    def as_written(self, message: str) -> str:
        """A message of a configuration, which calls options by their keys, with their names of the command line."""

        def name(match: re.Match[str]) -> str:
            key = match[0]
            is_named = key in self.kinds and (not match.start() or "_" in key or message.startswith("give "))
            return self.written.get(key, f"--{key.replace('_', '-')}") if is_named else key

        return _KEY.sub(name, message)

    def _check_positional(self, words: Sequence[str], positional: Sequence[Written]) -> None:
        """ConfigError where a word that stands for a source is a switch: `predict W photo.jpg half`."""
        for word in words:
            name = key_of(word)
            is_switch = name in self.known.flags or is_foreign_switch(name)
            if is_switch and any(one.name == SEVERAL and one.value == word for one in positional) and not exists(word):
                raise ConfigError(f"{self.known.command}: {word!r} is not a file but an option: write --{word}")

    def _set_sources(self, sources: Sequence[str]) -> None:
        """Take the sources as they stand: a file may be called [1].jpg, null or -.jpg."""
        if not sources:
            return
        if "" in sources:
            raise ConfigError(f"{self.known.command}: --{SEVERAL} is empty; name an image, a folder or a video")
        expanded = [str(expand_home(source)) if source.startswith("~/") else source for source in sources]
        self.values[SEVERAL] = expanded[0] if len(expanded) == 1 else tuple(expanded)

    def _resolved(self, option: Written) -> tuple[str, Any, str]:
        """Dotted key, value and spelling of an option; "" as the key where there is nothing to do."""
        name, value, written = option
        found = self._find(name, value, written)
        if found is None:
            raise ConfigError(self._unknown(name, written))
        return found

    def _find(self, name: str, value: Any, written: str) -> tuple[str, Any, str] | None:
        """As `_resolved`, with "" as the key where there is nothing to do; None if there is no such option."""
        meaning = meaning_of(name, value, self.kinds, written=written)
        if meaning is not None:
            if meaning.note:
                self.notes.append(f"{written}: {meaning.note}")
            return meaning.name, meaning.value, written
        if name in self.kinds or name == "config":
            return name, value, written
        target = ALIASES.get(name, "")
        if target in self.kinds:
            return target, value, written
        section, _, leaf = name.rpartition(".")
        if section:  # augment: {fliplr: 0.5}
            found = self._find(leaf, value, written) if leaf not in self.kinds else None
            return found if found and found[0].startswith(f"{section}.") else None
        return None

    def _set(self, name: str, value: Any, written: str) -> None:
        if value == "" and self.kinds[name] is not str:
            raise ConfigError(f"{self.known.command}: {written} is empty; give it a value, or leave it out")
        self.values[name] = typed_value(name, value, self.kinds[name], written=f"{self.known.command}: {written}")
        self.written[name] = written

    def _file(self, name: str) -> None:
        """Take the options of a file; what is other packages' and has no meaning here is named in one note."""
        if not name:
            raise ConfigError(f"{self.known.command}: --config is empty; name a YAML file or a recipe")
        unused: list[str] = []
        label = printable(name)
        given: dict[str, str] = {}
        for key, value in read_options(name, self.kinds):
            written = f"{label}: {printable(key)}"
            try:
                found = self._find(key, value, written)
            except UnsupportedError:
                unused.append(f"{key} {shown(value)}")
                continue
            if found is None or found[0] == "config":
                if any(option.startswith(f"{key}.") for option in self.kinds):
                    raise ConfigError(f"{written} is a section: its options stand below it, got {shown(value)}")
                raise ConfigError(f"{label}: {self._unknown(key, key).partition(': ')[2]}")
            option, setting, _ = found
            is_unset = option and setting is None and type(None) not in get_args(self.kinds[option])
            if not option or is_unset:  # null: as if it were not there
                continue
            if option in given:
                raise ConfigError(f"{label}: {printable(key)} and {given[option]} are the same option; keep one")
            given[option] = printable(key)
            if option == "save" and isinstance(setting, str) and setting.startswith("+"):
                self.added.append(setting[1:])
                continue
            self.values[option] = typed_value(option, setting, self.kinds[option], written=written)
            self.written[option] = written
        if unused:
            self.notes.append(f"{label}: not used, because gridyolo has no such options: {', '.join(unused)}")

    def _unknown(self, name: str, written: str) -> str:
        spelled = excerpt(written)
        target = ALIASES.get(name)
        if target or (name in OPTIONS):
            return f"{self.known.command}: has no option {spelled} (see {self.known.command} --help)"
        near = nearest_option(name, sorted(self.kinds))
        dashes = "--" if written.startswith("-") else ""
        hint = f"; did you mean {dashes or '--'}{near.replace('_', '-')}?" if near else ""
        return f"{self.known.command}: unknown option {spelled}{hint} (see {self.known.command} --help-all)"

    def _check_data(self) -> None:
        """ConfigError where the data are a file of options."""
        data = self.values.get("data")
        if not isinstance(data, str) or not data:
            return
        try:
            is_options = looks_like_options(expand_home(data), self.kinds)
        except (OSError, ValueError):
            return  # reading it will say what is wrong
        if is_options:
            raise ConfigError(f"{printable(data)}: is a file of options, not a dataset; give it as --config")


def _is_file(option: Written) -> bool:
    return ALIASES.get(option.name, option.name) == "config"


def run_action(
    program: str, actions: Mapping[str, Callable[[Sequence[str]], Ending]], words: Sequence[str], *, help_text: str
) -> Ending:
    """Run the action that the first word names, with the other words, and return how it ended.

    Raises:
        ConfigError: there is no such action; the nearest one is suggested.
    """
    if words and words[0] in HELP_WORDS:
        words = [*words[1:], "--help"]
    if not words or words[0] in HELP_WORDS:
        print(help_text)
        return Ending()
    name = words[0].lower()
    if name not in actions:
        near = difflib.get_close_matches(name, actions, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{program}: {shown(words[0])} is not one of {', '.join(actions)}{hint}")
    rest = ["--help"] if words[1:] == ["help"] and not Path("help").exists() else words[1:]
    return actions[name](rest)
