"""Errors for people: what is wrong, where, and what to do about it.

The command line prints the message and ends with the class's `exit_code`; no traceback is shown for these.
"""

import codecs
import os
import re
import reprlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

_SHORT = reprlib.Repr()
_LONGEST_SHOWN = 300
_LONGEST_EXCERPT = 28

# A terminal obeys these, a line ends at them, or neither UTF-8 nor XML has them.
_UNFIT = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff"
_UNFIT_IN_TEXT = re.compile(f"[{_UNFIT}]")
# these turn what stands around them, which pages prevent
_UNFIT_ON_TERMINAL = re.compile(rf"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069{_UNFIT}]")
_UNFIT_IN_NAME = re.compile(rf"[\t\n{_UNFIT}]")
# readers of lists strip lines, skip comments, and take a backslash for a separator
_UNFIT_IN_LIST = re.compile(rf"[\t\n\\{_UNFIT}]|^[\s#]+|\s+$")
_LIKE_CODED = re.compile("%(?=[0-9A-Fa-f]{2})")
_FILE_SYSTEM_BYTES = range(0xDC80, 0xDD00)  # bytes that are not UTF-8, as Python has them in paths
# What this program writes itself, for consoles that have no such sign.
_PLAIN_SIGNS = {"\u2013": "-", "\u2212": "-", "\u00b7": "*", "\u00d7": "x", "\u00b2": "^2", "\u2026": "..."}
# Name of the error handler of encodings that writes `%E9` for what they do not have: open(..., errors=PERCENT).
PERCENT: Final = "gridyolo.percent"


def printable(path: Path | str) -> str:
    r"""A path or name on one line, in characters that every file and terminal can take.

    Others stand as their bytes, as in addresses: `%E9` for a byte that is not UTF-8, `%0A` for a line end. A `%` of
    the name that could be taken for such a byte is `%25` then. `yolo.files.path_of_text` finds the file again.

    >>> printable("cat\x1b[31m\n"), printable("caf\udce9.jpg"), printable("100%25.jpg")
    ('cat%1B[31m%0A', 'caf%E9.jpg', '100%25.jpg')
    """
    return _percent_coded(os.fspath(path), _UNFIT_IN_NAME)


def line_of_path(path: Path) -> str:
    r"""As `printable`, for a line of a list of paths: with forward slashes, and nothing that readers strip or skip.

    >>> line_of_path(Path("a b/caf\udce9 .jpg ")), line_of_path(Path("#a\\b"))
    ('a b/caf%E9 .jpg%20', '%23a%5Cb')
    """
    return _percent_coded(path.as_posix(), _UNFIT_IN_LIST)


def printable_text(text: str) -> str:
    r"""A text of possibly several lines, in characters that every file and terminal can take; see `printable`.

    >>> printable_text("two\nlines\x1b")
    'two\nlines%1B'
    """
    return _UNFIT_IN_TEXT.sub(lambda match: _percent_bytes(match[0]), text)


def terminal_text(text: str) -> str:
    r"""As `printable_text`, also without marks that turn the text around them to the other direction.

    >>> terminal_text("\u202egpj.exe")
    '%E2%80%AEgpj.exe'
    """
    return _UNFIT_ON_TERMINAL.sub(lambda match: _percent_bytes(match[0]), text)


def _percent_coded(text: str, unfit: re.Pattern[str]) -> str:
    if not unfit.search(text):
        return text
    with suppress(UnicodeEncodeError):  # in a locale without UTF-8 Python has all its bytes so
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    if not unfit.search(text):
        return text
    return unfit.sub(lambda match: _percent_bytes(match[0]), _LIKE_CODED.sub("%25", text))


def _percent_bytes(letters: str) -> str:
    """The bytes of letters in UTF-8, or those that they stand for in a path."""
    coded = (
        bytes([ord(letter) - 0xDC00]) if ord(letter) in _FILE_SYSTEM_BYTES else letter.encode("utf-8", "surrogatepass")
        for letter in letters
    )
    return "".join(f"%{byte:02X}" for data in coded for byte in data)


def _encode_rest(error: UnicodeError) -> tuple[str, int]:
    """What an encoding does not have, for `PERCENT`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_PLAIN_SIGNS.get(letter) or _percent_bytes(letter) for letter in letters), error.end


codecs.register_error(PERCENT, _encode_rest)


def shown(value: Any) -> str:
    """A value of a file in a few words: what somebody writes into a file may be endless.

    >>> shown("leaky"), shown("x" * 100)
    ("'leaky'", "'xxxxxxxxxxxx...xxxxxxxxxxxxx'")
    """
    try:
        text = printable(_SHORT.repr(value))
        return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."  # of lists in lists
    except ValueError:  # an integer of thousands of digits
        return f"a {type(value).__name__}"


def excerpt(text: str) -> str:
    r"""A text that a user wrote, without quotes, on one line, and without its middle where it is long.

    >>> excerpt("C:\\data"), excerpt("x" * 100)
    ('C:\\data', 'xxxxxxxxxxxx...xxxxxxxxxxxxx')
    """
    text = printable(text)
    return text if len(text) <= _LONGEST_EXCERPT else f"{text[:12]}...{text[-13:]}"


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
        kind: the category of the error, as it is counted in summaries: "3 damaged".
    """

    def __init__(self, message: str, kind: str = "that could not be opened") -> None:
        super().__init__(message)
        self.kind = kind


class SaveError(GridYoloError, OSError):
    """A file that could not be written: the disk is full, or the folder is not to be written to.

    Attributes:
        others_may_follow: the reason is this file's own, such as its name or size; others can still be written.
    """

    def __init__(self, *message: Any, others_may_follow: bool = False) -> None:
        super().__init__(*message)
        self.others_may_follow = others_may_follow


class WeightsError(GridYoloError):
    """A weights file or checkpoint that is missing, damaged or made for something else."""
