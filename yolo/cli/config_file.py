"""Files of options (`--config`): YAML, nested, with dotted keys, or flat as in other packages; and shipped recipes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from yolo.cli.words import key_of
from yolo.errors import ConfigError, printable, shown
from yolo.files import expand_home, read_bytes

_MOST_BYTES = 1_000_000
# Keys that tell a dataset YAML; none of them is an option of a command that reads files of options by habit.
_DATASET_KEYS = frozenset({"nc", "names", "train", "val", "test", "path"})


def read_options(name: str, options: Collection[str]) -> list[tuple[str, Any]]:
    """The options of a file, by dotted key as it is written there, with underscores.

    Args:
        name: path of the file, or name of a shipped recipe.
        options: dotted keys of the options that the command has.

    Raises:
        ConfigError: there is no such file, or it does not hold options.
    """
    path = _find(name)
    content = _parse(path)
    if content is None:
        return []
    if not isinstance(content, Mapping):
        kind = "a list" if isinstance(content, list) else "text" if isinstance(content, str) else "a single value"
        raise ConfigError(f"{printable(path)}: holds {kind}, not options such as `epochs: 100`")
    keys = {key_of(str(key)) for key in content}
    foreign = keys & _DATASET_KEYS - set(options)
    if foreign & {"nc", "names", "train", "path"}:
        raise ConfigError(f"{printable(path)}: is a dataset YAML, not a file of options; give it as --data")
    return list(_flatten(content, options, path))


def looks_like_options(path: Path, options: Collection[str]) -> bool:
    """Whether a YAML file given as a dataset holds options instead. False for all that cannot be read."""
    if path.suffix.lower() not in (".yaml", ".yml") or not path.is_file():
        return False
    try:
        content = _parse(path)
    except ConfigError:
        return False
    if not isinstance(content, Mapping) or not content:
        return False
    keys = {key_of(str(key)) for key in content}
    sections = {name.partition(".")[0] for name in options}
    return not keys & _DATASET_KEYS and bool(keys & sections)


def _find(name: str) -> Path:
    """Path of a file or of a shipped recipe."""
    path = expand_home(name)
    folder = resources.files("yolo") / "recipes"
    recipes = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    try:
        if path.is_file():
            return path
        is_there = path.exists()
    except (OSError, ValueError):
        is_there = False
    if name in recipes:
        return Path(str(folder / f"{name}.yaml"))
    if is_there:
        what = "is a folder" if path.is_dir() else "is a pipe or a device"
        raise ConfigError(f"--config {printable(name)}: {what}; name a YAML file")
    raise ConfigError(f"--config {printable(name)}: there is no such file or recipe; recipes are {', '.join(recipes)}")


def _parse(path: Path) -> Any:
    raw = read_bytes(path, what="a file of options", limit=_MOST_BYTES, error=ConfigError)
    try:
        return yaml.load(raw.decode("utf-8-sig"), Loader=_UniqueKeys)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{printable(path)}: is not UTF-8 text") from error
    except _TwiceError as error:
        raise ConfigError(f"{printable(path)}: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{printable(path)}: {line}is not YAML ({error.problem or error.context})") from error
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise ConfigError(f"{printable(path)}: is not YAML that can be read") from error


class _TwiceError(Exception):
    """A key is there twice."""


class _UniqueKeys(yaml.SafeLoader):
    """Reads YAML in which no key is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise _TwiceError(f"line {key.start_mark.line + 1}: {shown(key.value)} is given twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _flatten(
    content: Mapping[Any, Any], options: Collection[str], path: Path, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        name = prefix + key_of(str(key))
        is_section = any(option.startswith(f"{name}.") for option in options)
        if is_section and isinstance(value, Mapping):
            yield from _flatten(value, options, path, f"{name}.")
        elif not (is_section and value is None):  # nothing in it
            yield name, value
