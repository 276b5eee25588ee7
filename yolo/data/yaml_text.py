"""Parsing the text of a dataset YAML, in which people write paths of Windows in quotes.

Left out: what the keys mean (dataset_yaml.py).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

from yolo.errors import DataError, printable, printable_text
from yolo.formats.paths import read_text

_PATH_KEYS = ("train", "val", "valid", "validation", "test", "path", "images", "only", "extra")
# a line that begins a path or several, and one that goes on with them
_PATH_LINE = re.compile(rf"\s*(?:-\s*)?\{{?\s*(?:{'|'.join(_PATH_KEYS)})\s*:")
_ITEM_LINE = re.compile(r"\s*(?:-|\[|\"|$|#)")
_QUOTED = re.compile(r'"[^"\n]*"')


def parse_yaml(path: Path) -> Any:
    """The content of a YAML file, with slashes in its quoted paths; DataError with the line where it is damaged."""
    try:
        return yaml.safe_load(_with_slashes(read_text(path)))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a date that is none, a number of thousands of digits
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)[:200]
        if "integer string" in problem:  # Python's limit
            problem = (
                f"a number has more than {sys.get_int_max_str_digits():,} digits; put it in quotes if it is a name"
            )
        if "'\\t'" in problem:
            problem = "a tab is used to indent; write spaces"
        raise DataError(f"{printable(path)}{line}: is not YAML ({printable_text(problem)})") from error


def _with_slashes(text: str) -> str:
    r"""The text of a YAML with slashes in its quoted paths, where YAML takes a backslash for the start of an escape.

    >>> _with_slashes('path: "..\\data\\new"')
    'path: "../data/new"'
    """
    if "\\" not in text:
        return text
    lines, is_path = text.split("\n"), False
    for number, line in enumerate(lines):
        is_path = bool(_PATH_LINE.match(line)) or (is_path and bool(_ITEM_LINE.match(line)))
        if is_path:
            lines[number] = _QUOTED.sub(lambda quoted: quoted[0].replace("\\", "/"), line)
    return "\n".join(lines)
