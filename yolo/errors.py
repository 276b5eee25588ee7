"""Errors for people: what is wrong, where, and what to do about it.

The command line prints the message and ends with the class's `exit_code`; no traceback is shown for these.
"""

import os
import re
import reprlib
from pathlib import Path
from typing import Any

_SHORT = reprlib.Repr()

# A terminal obeys these; tabs and line feeds are left.
_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(path: Path | str) -> str:
    r"""A path or name that every file and terminal can take: question marks for control characters and non-Unicode.

    >>> printable("cat\x1b[31m")
    'cat?[31m'
    """
    return _CONTROL_CHARACTERS.sub("?", os.fspath(path)).encode("utf-8", "replace").decode("utf-8")


def shown(value: Any) -> str:
    """A value of a file in a few words: what somebody writes into a file may be endless.

    >>> shown("leaky"), shown("x" * 100)
    ("'leaky'", "'xxxxxxxxxxxx...xxxxxxxxxxxxx'")
    """
    try:
        return printable(_SHORT.repr(value))
    except ValueError:  # an integer of thousands of digits
        return f"a {type(value).__name__}"


class GridYoloError(Exception):
    """Base of every error that a user can cause and put right."""

    exit_code = 1


class ConfigError(GridYoloError):
    """An option, a configuration file or a combination of options that makes no sense."""

    exit_code = 2


class DataError(GridYoloError):
    """A dataset, an annotation file or a source of images that cannot be used."""


class ImageReadError(DataError):
    """One image that cannot be decoded.

    Attributes:
        kind: what is wrong in the words of a count, as in "3 damaged".
    """

    def __init__(self, message: str, kind: str = "that could not be opened") -> None:
        super().__init__(message)
        self.kind = kind


class SaveError(GridYoloError, OSError):
    """A file that could not be written: the disk is full, or the folder is not to be written to."""


class WeightsError(GridYoloError):
    """A weights file or checkpoint that is missing, damaged or made for something else."""
