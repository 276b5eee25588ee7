"""Errors for people: what is wrong, where, and what to do about it.

The command line prints the message and ends with the class's `exit_code`; no traceback is shown for these.
"""

import os
from pathlib import Path


def printable(path: Path | str) -> str:
    """A path as text that every file and terminal can take; what is not Unicode becomes a question mark."""
    return os.fspath(path).encode("utf-8", "replace").decode("utf-8")


class GridYoloError(Exception):
    """Base of every error that a user can cause and put right."""

    exit_code = 1


class ConfigError(GridYoloError):
    """An option, a configuration file or a combination of options that makes no sense."""

    exit_code = 2


class DataError(GridYoloError):
    """A dataset, an annotation file or a source of images that cannot be used."""


class ImageReadError(DataError):
    """One image that cannot be decoded."""


class SaveError(GridYoloError, OSError):
    """A file that could not be written: the disk is full, or the folder is not to be written to."""


class WeightsError(GridYoloError):
    """A weights file or checkpoint that is missing, damaged or made for something else."""
