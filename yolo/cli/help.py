"""Help of a command, a paragraph for each option, for 80 columns, or fewer where the terminal is smaller."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from yolo.cli.positional import POSITIONAL, usage
from yolo.config.help_texts import OptionHelp, option_helps, summary_of

_WIDTH, _INDENT, _NARROWEST = 80, 26, 40
# What stands for the value of an option that is text.
_PLACES = {
    "data": "FOLDER|YAML",
    "weights": "FILE|RUN",
    "source": "SOURCE...",
    "cfg": "FILE|NAME",
    "names": "FILE",
    "runs": "FOLDER",
    "output": "PATH",
    "fix_into": "FOLDER",
    "images": "FOLDER",
    "cache_dir": "FOLDER",
    "manifest": "FILE",
    "augment.pipeline": "FILE",
    "resume": "RUN",
    "classes": "LIST",
    "save": "FORMATS",
    "every": "N|2.5s",
    "ground_truth": "PATH",
    "detections": "PATH",
    "max_minutes": "MINUTES",
    "optimizer.lr_factors": "MAPPING",
    "a": "PATH",
    "b": "PATH",
}


def help_of(command: str, config_class: type[Any], *, show_all: bool) -> str:
    """The help of a command, as text.

    Args:
        command: its name.
        config_class: its configuration.
        show_all: the options of its sections, too.
    """
    width = max(_NARROWEST, min(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns))
    options = list(option_helps(config_class))
    front = [option for option in options if "." not in option.name or option.name == "augment.pipeline"]
    sections = [option for option in options if option not in front]
    first = POSITIONAL.get(config_class, ())
    front.sort(key=lambda option: first.index(option.name) if option.name in first else len(first))
    about = [f"usage: {usage(command, config_class)}", "", summary_of(config_class), ""]
    about.append(_how_to_write(config_class, bool(sections) and not show_all))
    lines = [textwrap.fill(line, width) if line else line for line in about]
    lines += ["", "options:"]
    for option in front:
        lines += _paragraph(option, width)
    if show_all:
        for section in dict.fromkeys(option.name.rpartition(".")[0] for option in sections):
            lines += ["", f"{section}:"]
            for option in sections:
                if option.name.rpartition(".")[0] == section:
                    lines += _paragraph(option, width)
    lines += ["", "general:"]
    for head, text in _general(bool(sections)):
        lines += _laid_out(head, text, width)
    return "\n".join(lines)


def _how_to_write(config_class: type[Any], has_more: bool) -> str:
    words = POSITIONAL.get(config_class, ())
    capitals = " and ".join(name.upper().replace("_", "-") for name in words)
    names = " and ".join(f"--{name.replace('_', '-')}" for name in words)
    text = f"{capitals} can also be given as {names}. " if words else ""
    text += "Options can also be written key=value."
    return text + (" --help-all shows the options of all sections." if has_more else "")


def _general(has_sections: bool) -> Iterator[tuple[str, str]]:
    yield "--config FILE", "YAML file with any of these options; those on the command line win."
    yield "--print-config", "Print the configuration as YAML and exit."
    yield "--quiet, -q", "Print errors and warnings only."
    yield "--json", "Print one JSON document on standard output, and all else on standard error."
    yield "-h, --help", "Show this help and exit."
    if has_sections:
        yield "--help-all", "Show the options of all sections, too."


def _paragraph(option: OptionHelp, width: int) -> list[str]:
    value = _value(option)
    own = "augment" if option.name == "augment.pipeline" else option.name
    names = [f"--{own.replace('_', '-')}"]
    if option.kind is bool and option.default is True:
        prefix, dot, leaf = own.rpartition(".")
        names.append(f"--no-{prefix}{dot}{leaf}".replace("_", "-"))
    names += [f"--{alias.replace('_', '-')}" for alias in option.aliases[:1] if alias != "augment"]
    return _laid_out(", ".join(names) + (f" {value}" if value else ""), _text(option), width)


def _laid_out(head: str, text: str, width: int) -> list[str]:
    """A head, and beside it its text, or below it where the head is long."""
    head_lines = textwrap.wrap(f"  {head}", width, subsequent_indent="      ", break_on_hyphens=False)
    body = textwrap.wrap(text, width - _INDENT, break_on_hyphens=False, break_long_words=False)
    indented = [" " * _INDENT + line for line in body]
    if len(head_lines) == 1 and len(head_lines[0]) <= _INDENT - 2 and indented:
        return [head_lines[0].ljust(_INDENT) + body[0], *indented[1:]]
    return [*head_lines, *indented]


def _text(option: OptionHelp) -> str:
    if option.default in (None, "", (), {}) or "efault" in option.text:
        return option.text
    default = f"{option.default:g}" if isinstance(option.default, float) else option.default
    default = str(option.default).lower() if isinstance(option.default, bool) else default
    return f"{option.text} Default: {default}."


def _value(option: OptionHelp) -> str:
    """What stands for the value of an option, such as N; nothing for one that may stand alone."""
    kind = option.kind
    if kind is bool:
        return ""
    is_counted = kind is int or get_origin(kind) is Literal  # demo's images are a number
    if option.name in _PLACES and not is_counted:
        return _PLACES[option.name]
    members = [kind] if get_origin(kind) in (Literal, tuple, dict) else list(get_args(kind)) or [kind]
    for member in members:
        if get_origin(member) is Literal:
            return "{" + ",".join(map(str, get_args(member))) + "}"
    if str in members and float in members:
        return "NUMBER|auto|FILE"
    if str in members:
        return option.name.rpartition(".")[2].upper()
    if get_origin(members[0]) is tuple:
        return "N,N,..."
    return "N" if int in members else "NUMBER"
