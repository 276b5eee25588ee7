"""A configuration from Python values: nested mappings, dotted keys, sections that are configurations themselves.

The values have their types already. Left out: text, as on the command line (`yolo.cli.arguments`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from numbers import Integral, Real
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from yolo.config.options import ALIASES, dotted_options, nearest_option, option_types
from yolo.config.python_words import python_words
from yolo.errors import ConfigError, shown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")

_WORDS = {int: "an integer", float: "a number", bool: "True or False", str: "a string", NoneType: "None"}


def make_config(
    config_class: type[Config], options: Mapping[str, Any], *, defaults: Mapping[str, Any] | None = None
) -> Config:
    """Make the configuration of a command from its options; messages name options as Python does.

    Args:
        config_class: what to make.
        options: by name. A section is a mapping, or a configuration, which sets all of its options; an option of a
            section may also stand alone under its dotted key.
        defaults: by dotted key, in place of those of `config_class`.

    Raises:
        ConfigError: an unknown option, a value of the wrong type, or a combination that makes no sense.

    >>> from yolo.config import TrainConfig
    >>> config = make_config(TrainConfig, {"data": "photos", "optimizer": {"lr": 1e-3}, "model.width": 64})
    >>> config.data, config.optimizer.lr, config.model.width
    ('photos', 0.001, 64)
    """
    with python_words():
        return build_config(config_class, options, defaults=defaults)


def build_config(
    config_class: type[Config], options: Mapping[str, Any], *, defaults: Mapping[str, Any] | None = None
) -> Config:
    """As `make_config`; messages name options as the command line does (`--data`)."""
    kinds = option_types(config_class)
    given: dict[str, Any] = {}
    for name, value in _flatten(options, kinds):
        if name not in kinds:
            raise ConfigError(_unknown(name, kinds))
        if name in given:
            raise ConfigError(f"{name} is given twice: in its section and by its dotted key")
        given[name] = _checked(name, value, kinds[name])
    return _build(config_class, {**(defaults or {}), **given})


def explicit_options(config_class: type[Any], options: Mapping[str, Any]) -> frozenset[str]:
    """Dotted names of the options that `make_config` would be given, with whatever values.

    >>> from yolo.config import TrainConfig
    >>> sorted(explicit_options(TrainConfig, {"epochs": 2, "optimizer": {"lr": 1e-3, "rate": {"step": 5}}}))
    ['epochs', 'optimizer.lr', 'optimizer.rate.step']
    """
    return frozenset(name for name, _ in _flatten(options, option_types(config_class)))


def _flatten(options: Mapping[str, Any], kinds: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted key and the value of every option that is given."""
    for key, value in options.items():
        name = f"{prefix}{key}"
        if not any(other.startswith(f"{name}.") for other in kinds):
            yield name, value
        elif isinstance(value, Mapping):
            yield from _flatten(value, kinds, f"{name}.")
        elif is_dataclass(value) and not isinstance(value, type):
            yield from dotted_options(value, f"{name}.").items()
        else:
            raise ConfigError(f"{name} is a section: give its options as a dict, not {_shown(value)}")


def _unknown(name: str, kinds: Mapping[str, Any]) -> str:
    near = nearest_option(name, list(kinds))
    # what other packages call it: here every option has one name
    hint = f"; did you mean {ALIASES.get(near, near)}?" if near else ""
    return f"unknown option {name}{hint}"


def _build(config_class: type[Config], values: Mapping[str, Any], prefix: str = "") -> Config:
    """The configuration of those values, by dotted key; what is missing has its default."""
    arguments: dict[str, Any] = {}
    for name, kind in get_type_hints(config_class).items():
        key = f"{prefix}{name}"
        if is_dataclass(kind):
            assert isinstance(kind, type)
            arguments[name] = _build(kind, values, f"{key}.")
        elif key in values:
            arguments[name] = values[key]
    return config_class(**arguments)


def _checked(name: str, value: Any, kind: Any) -> Any:
    """The value as its option holds it; ConfigError where it is of another type."""
    members = (kind,) if get_origin(kind) in (Literal, tuple, dict) else get_args(kind) or (kind,)
    if name == "device":
        value = _device_name(value)
    for member in members:
        converted = _converted(value, member)
        if converted is not None or (value is None and member is NoneType):
            return converted
    raise ConfigError(f"{name} must be {' or '.join(map(_in_words, members))}, got {_shown(value)}")


def _device_name(value: Any) -> Any:
    """The name of a torch.device, or of a number, which is that of a GPU; anything else as it is."""
    is_number = isinstance(value, Integral) and not isinstance(value, bool)
    # torch is not imported for this: what calls itself so is one
    return str(value) if is_number or f"{type(value).__module__}.{type(value).__name__}" == "torch.device" else value


def _shown(value: Any) -> str:
    """A value in one line, however large it is."""
    return " ".join(shown(value).split())


def _converted(value: Any, kind: Any) -> Any:
    """The value as that type, which is not a union; None where it is of another type."""
    if get_origin(kind) is Literal:
        # True and 1.0 equal 1, and are other values; 32 is how one writes the choice "32" in Python
        written = str(value) if type(value) is int and str(value) in get_args(kind) else value
        return next((choice for choice in get_args(kind) if type(choice) is type(written) and choice == written), None)
    if get_origin(kind) is tuple:
        items = [_converted(item, get_args(kind)[0]) for item in value] if isinstance(value, list | tuple) else [None]
        return None if None in items else tuple(items)
    if get_origin(kind) is dict:
        of = get_args(kind)[1]
        named = (
            {str(key): _converted(item, of) for key, item in value.items()}
            if isinstance(value, Mapping)
            else {"": None}
        )
        return None if None in named.values() else named
    if isinstance(value, bool) or kind is bool:
        return value if isinstance(value, bool) and kind is bool else None
    if kind is str:
        return os.fspath(value) if isinstance(value, str | os.PathLike) else None
    # NumPy's integers and floats are such numbers, too
    if kind is int:
        return int(value) if isinstance(value, Integral) else None
    return float(value) if kind is float and isinstance(value, Real) else None


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, get_args(kind)))}"
    if get_origin(kind) is tuple:
        return f"a list, each item {_WORDS[get_args(kind)[0]]}"
    if get_origin(kind) is dict:
        return f"a dict, each value {_WORDS[get_args(kind)[1]]}"
    return _WORDS[kind]
