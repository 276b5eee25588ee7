"""From words on the command line to a checked configuration.

`--max-minutes 5`, `--max_minutes=5` and `max_minutes=5` mean the same; so do the names that users of other
packages know (`imgsz`, `batch`, `conf`, ...). Values may come from a YAML file (`--config`),
later options win. Front-page help shows the top-level options, `--help-all` every dotted key.

Commands that have commands of their own, such as `gridyolo data check`, choose among them by `run_action`.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentParser

from yolo.config.options import ALIASES, nearest_option, option_types
from yolo.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Config = TypeVar("Config", bound="DataclassInstance")

_KEY_VALUE = re.compile(r"[A-Za-z_][\w.-]*=.*", re.DOTALL)
# What commands work on: required, and different from run to run.
_INPUTS = ("data", "weights", "source", "ground_truth", "detections", "a", "b")
# May have several values: what a shell makes of a pattern.
_SEVERAL = "source"
_NO_VALUE = frozenset({"--help", "--help_all", "--print_config"})


def parse(
    command: str, config_class: type[Config], words: Sequence[str], *, defaults: Mapping[str, Any] | None = None
) -> Config:
    """Make the configuration of a command.

    Args:
        command: its name, for help and messages.
        config_class: what to make.
        words: the command line after the command.
        defaults: by dotted key, in place of those of `config_class`.

    Raises:
        ConfigError: an unknown option, a value of the wrong kind, or a combination that makes no sense.
        SystemExit: after --help, --help-all or --print_config.
    """
    words, several = _several_values(normalise(words, flags=flags_of(config_class)))
    parser = _build_parser(command, config_class, show_all="--help_all" in words)
    parser.set_defaults(dict(defaults or {}))
    if "--help_all" in words or "--help" in words or "-h" in words:
        print(_with_dashes(parser.format_help()))
        raise SystemExit(0)
    try:
        values = parser.parse_args([word for word in words if word != "--print_config"])
        made = parser.instantiate(values)
    except (argparse.ArgumentError, argparse.ArgumentTypeError, TypeError, ValueError) as error:
        raise ConfigError(_explain(command, str(error), parser)) from error
    arguments = {key: value for key, value in vars(made).items() if key not in ("config", "print_config")} | several
    if "--print_config" in words:
        _print_config(config_class, arguments)
        raise SystemExit(0)
    return config_class(**arguments)


def _print_config(config_class: type[Any], arguments: Mapping[str, Any]) -> None:
    """Print a configuration as YAML. What it is to work on need not be known yet: a file of options has many uses."""
    unknown = {name for name in _INPUTS if arguments.get(name) == ""}
    checked = config_class(**{**arguments, **dict.fromkeys(unknown, "-")})
    print(yaml.safe_dump(asdict(checked) | dict.fromkeys(unknown, ""), sort_keys=False), end="")


def flags_of(config_class: type[Any]) -> frozenset[str]:
    """The dotted keys of the options that are true or false, and so may stand without a value."""
    return frozenset(name for name, kind in option_types(config_class).items() if kind is bool)


def given_options(command: str, config_class: type[Any], words: Sequence[str]) -> frozenset[str]:
    """Dotted names of the options that a command line and its --config file set, with whatever values.

    `words` have been parsed without an error before.
    """
    parser = _build_parser(command, config_class, show_all=False)
    values = parser.parse_args(normalise(words, flags=flags_of(config_class)), defaults=False)
    return frozenset(values.keys()) - {"config"}


def _files_first(words: Sequence[str]) -> list[str]:
    """Normalised words with every --config in front: the command line wins over files, wherever it names them."""
    files: list[str] = []
    others: list[str] = []
    following = iter(words)
    for word in following:
        if word == "--config":
            files += [word, *([value] if (value := next(following, None)) is not None else [])]
        else:
            (files if word.startswith("--config=") else others).append(word)
    return files + others


def value_of(name: str, words: Sequence[str], *, flags: Collection[str] = ()) -> Any:
    """Value of a top-level option as given on a command line or in its --config file; None where it is not.

    >>> value_of("cfg", ["data=d", "--cfg", "yolov1"])
    'yolov1'
    """
    found = None
    words = normalise(words, flags=flags)
    for place, word in enumerate(words):
        key, equals, value = word.partition("=")
        value = value if equals else "".join(words[place + 1 : place + 2])
        if key == "--config":
            found = _from_yaml(Path(value), name, found)
        elif key == f"--{name}":
            found = value
    return found


def normalise(words: Sequence[str], *, flags: Collection[str] = ()) -> list[str]:
    """Rewrite every spelling of an option as `--name_with_underscores`, values untouched, and put --config in front.

    >>> normalise(["batch=8", "--max-minutes", "5", "--name", "a=b", "--no-save-images", "--video"], flags=["video"])
    ['--batch_size=8', '--max_minutes', '5', '--name', 'a=b', '--save_images=false', '--video=true']
    """
    result: list[str] = []
    is_value = is_source = False
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        if is_value:
            result.append(_recipe(word) if result[-1] == "--config" else word)
            is_value = False
            continue
        if _KEY_VALUE.fullmatch(word) and not (is_source and Path(word).exists()):  # a file may be called a=b.jpg
            word = "--" + word
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            name = name.replace("-", "_")
            if name.startswith("no_") and not equals:
                name, equals, value = name.removeprefix("no_"), "=", "false"
            name = ALIASES.get(name, name)
            if name in flags and not equals and following.lower() not in ("true", "false"):
                equals, value = "=", "true"
            word = f"--{name}{equals}{_recipe(value) if equals and name == 'config' else value}"
            is_value = not equals and word not in _NO_VALUE
            is_source = name == _SEVERAL
        result.append(word)
    return _files_first(result)


def _several_values(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Normalised words in which --source has one value, and its value or values as they stand.

    The parser would take a name that begins with - for an option, and one such as [1] for YAML.

    >>> _several_values(["--source", "-a.jpg", "b.jpg", "--device=cpu"])
    (['--source=-a.jpg', '--device=cpu'], {'source': ('-a.jpg', 'b.jpg')})
    """
    result: list[str] = []
    values: list[str] | None = None
    is_following = is_first = False
    for word in words:
        key, equals, value = word.partition("=")
        if is_first or (is_following and not word.startswith("--") and word != "-h"):
            (values := values or []).append(word)
            is_first = False
        elif key == f"--{_SEVERAL}":
            values, is_following, is_first = [value] if equals else [], True, not equals
        else:
            result.append(word)
            is_following = False
    if not values:
        return list(words), {}
    return [f"--{_SEVERAL}={values[0]}", *result], {_SEVERAL: values[0] if len(values) == 1 else tuple(values)}


def _recipe(value: str) -> str:
    """Path of a shipped recipe where `value` is the name of one and no file; ConfigError where it is neither."""
    if Path(value).exists() and not Path(value).is_dir():
        return value
    folder = resources.files("yolo") / "recipes"
    names = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    if value not in names:
        raise ConfigError(f"--config {value}: there is no such file or recipe; recipes are {', '.join(names)}")
    return str(folder / f"{value}.yaml")


def _from_yaml(path: Path, name: str, otherwise: Any) -> Any:
    """Value of a key in a YAML file; `otherwise` where it has none. What is wrong with the file, parsing will say."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return otherwise
    return values.get(name, otherwise) if isinstance(values, dict) else otherwise


def _build_parser(command: str, config_class: type[Any], *, show_all: bool) -> ArgumentParser:
    summary = (config_class.__doc__ or "").splitlines()[0]
    types = get_type_hints(config_class, include_extras=True)
    has_sections = any(map(is_dataclass, types.values()))
    more = " --help-all shows the options of all sections." if has_sections and not show_all else ""
    parser = ArgumentParser(
        prog=f"gridyolo {command}",
        usage=f"gridyolo {command} [options]",
        description=f"{summary} Options can also be written key=value.{more}",
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=argparse.HelpFormatter,
    )
    parser.add_argument(
        "--config", action="config", help="YAML file with any of these options; those on the command line win."
    )
    parser.add_class_arguments(config_class)
    for group in parser._action_groups:
        group.title = {"options": "general", summary.removesuffix("."): "options"}.get(group.title or "", group.title)
    for action in parser._actions:
        is_section = action.default == argparse.SUPPRESS and action.dest not in ("help", "print_config")
        if is_section or ("." in action.dest and not show_all):
            action.help = argparse.SUPPRESS
        elif action.dest == "print_config":
            action.help = "Print the configuration as YAML and exit."
        elif action.dest not in ("help", "config"):
            action.help = _help_of(action, types.get(action.dest))
        if action.dest == "augment.pipeline":
            action.help, action.metavar = _help_of(action, None), "FILE"
    return parser


def _help_of(action: argparse.Action, kind: Any) -> str:
    """The help of an option, from its type where several commands have it, and its default."""
    text = kind.__metadata__[0] if get_origin(kind) is Annotated else str(action.help)
    if action.default in (None, "", (), {}):
        return text
    default = str(action.default).lower() if isinstance(action.default, bool) else action.default
    return f"{text} Default: {default}."


def _with_dashes(text: str) -> str:
    """Options as people write them: --max-minutes, not --max_minutes."""
    text = text.replace("--augment.pipeline", "--augment")  # its alias, see ALIASES
    return re.sub(r"--[\w.]+", lambda match: match.group().replace("_", "-"), text)


def _explain(command: str, message: str, parser: ArgumentParser) -> str:
    """The library's message, with the nearest option where one was unknown."""
    unknown = re.search(r"nrecognized arguments:\s*(\S+)|Option '([^']+)' is not accepted", message)
    if unknown is None:
        return f"gridyolo {command}: {message}"
    word = (unknown.group(1) or unknown.group(2)).partition("=")[0]
    if unknown.group(1) and not word.startswith("-"):
        return f"gridyolo {command}: {word!r} does not belong to an option (see gridyolo {command} --help)"
    options = [option[2:] for action in parser._actions for option in action.option_strings if option[:2] == "--"]
    near = nearest_option(word.lstrip("-"), options)
    hint = f"; did you mean --{near}?" if near else ""
    return _with_dashes(f"gridyolo {command}: unknown option {word}{hint} (see gridyolo {command} --help-all)")


def run_action(
    program: str, actions: Mapping[str, Callable[[Sequence[str]], int]], words: Sequence[str], *, help_text: str
) -> int:
    """Run the action that the first word names, with the other words, and return its exit code.

    Raises:
        ConfigError: there is no such action; the nearest one is suggested.
    """
    if not words or words[0] in ("--help", "-h", "help"):
        print(help_text)
        return 0
    if words[0] not in actions:
        near = difflib.get_close_matches(words[0], actions, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{program}: {words[0]!r} is not one of {', '.join(actions)}{hint}")
    return actions[words[0]](words[1:])
