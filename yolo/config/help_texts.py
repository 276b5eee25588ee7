"""What the help says of an option: the text of its type where several commands have it, or its line in a docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Annotated, Any, get_origin, get_type_hints

from yolo.config.options import ALIASES, option_types

_ATTRIBUTE = re.compile(r" {4}(\w+): (.*)")


@dataclass(frozen=True, slots=True)
class OptionHelp:
    """An option as its help shows it.

    Attributes:
        name: dotted key.
        kind: its type.
        text: what it does.
        default: its default, None where the text says what happens without it.
        aliases: its other names.
    """

    name: str
    kind: Any
    text: str
    default: Any
    aliases: tuple[str, ...]


def summary_of(config_class: type[Any]) -> str:
    """What a command does: the first line of its configuration's docstring."""
    return (config_class.__doc__ or "").splitlines()[0]


def option_helps(config_class: type[Any], prefix: str = "") -> Iterator[OptionHelp]:
    """Every option of a configuration and of its sections, in order; sections come last, as they stand."""
    own = _attributes(config_class)
    hints = get_type_hints(config_class, include_extras=True)
    kinds = option_types(config_class)
    for field in fields(config_class):
        hint, name = hints[field.name], prefix + field.name
        if is_dataclass(hint) and isinstance(hint, type):
            yield from option_helps(hint, f"{name}.")
            continue
        text = hint.__metadata__[0] if get_origin(hint) is Annotated else own[field.name]
        aliases = tuple(alias for alias, target in ALIASES.items() if target == name)
        yield OptionHelp(name, kinds[field.name], text, _default(field), aliases)


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _attributes(config_class: type[Any]) -> dict[str, str]:
    """The texts under `Attributes:` of a docstring."""
    found: dict[str, list[str]] = {}
    _, _, block = inspect.cleandoc(config_class.__doc__ or "").partition("Attributes:\n")
    for line in block.splitlines():
        if match := _ATTRIBUTE.match(line):
            found[match[1]] = [match[2]]
        elif line.strip():
            next(reversed(found.values())).append(line.strip())
    return {name: " ".join(lines) for name, lines in found.items()}
