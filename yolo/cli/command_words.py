"""Which command a line means, in the order of other packages, too: `detect train data=...`, `task=detect mode=train`.

What other packages call a command is understood where it is the same thing, and answered in one line where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from yolo.errors import ConfigError, excerpt

# What other packages call a command: the words that begin the same line here.
_SAME = {
    "validate": ["val"],
    "test": ["val"],
    "eval": ["val"],
    "evaluate": ["val"],
    "fit": ["train"],
    "finetune": ["train"],
    "detect": ["predict"],
    "infer": ["predict"],
    "inference": ["predict"],
    "track": ["predict", "--track"],
    "partial": ["darknet", "export"],
    "check": ["data", "check"],
    "stats": ["data", "stats"],
    "convert": ["data", "convert"],
    "split": ["data", "split"],
    "preview": ["data", "preview"],
    "download": ["data", "download"],
    "synth": ["data", "synth"],
}
# What they have and gridyolo does not.
_MISSING = {
    "export": "does not exist yet: detectors are not exported to ONNX or TensorRT (gridyolo darknet export writes "
    "darknet's files)",
    "benchmark": "does not exist: a training and a validation say how long an image takes",
    "checks": "does not exist: every run writes environment.json",
    "settings": "does not exist: nothing is set for all runs; --config reads options from a file",
    "cfg": "does not exist: gridyolo train --print-config prints the options",
    "copy-cfg": "does not exist: gridyolo train --print-config > options.yaml writes the options into a file",
    "solutions": "does not exist: gridyolo predict --track --line counts what crosses a line",
    "tune": "does not exist: hyperparameters are not searched; docs/training.md says what to try",
    "resume": "is an option: gridyolo train --resume runs/train",
}
_OTHER_TASKS = ("segment", "classify", "pose", "obb", "sam")
_MODES = ("train", "val", "predict", "export", "track", "benchmark")
_PROGRAMS = ("yolo", "gridyolo")


def command_words(words: Sequence[str]) -> list[str]:
    """The words in gridyolo's own order, the command first.

    Raises:
        ConfigError: what other packages can do and gridyolo cannot.

    >>> command_words(["detect", "train", "data=pets"]), command_words(["task=detect", "data=d", "mode=val"])
    (['train', 'data=pets'], ['val', 'data=d'])
    >>> command_words(["detector", "train", "obj.data", "own.cfg", "start.weights"])
    ['train', '--data', 'obj.data', '--cfg', 'own.cfg', '--weights', 'start.weights']
    """
    words = list(words)
    if len(words) > 1 and words[0].lower() in _PROGRAMS:
        del words[0]
    if _is_darknets(words):
        return _of_darknet(words)
    is_theirs = bool(words) and words[0].lower().startswith(("task=", "mode=", "model=", "data=", "source="))
    mode = _taken(words, "mode") if is_theirs else None
    if mode is not None:
        _check_task(_taken(words, "task"))
        words.insert(0, mode)
    elif words and words[0].lower().startswith("task="):
        _check_task(words.pop(0).partition("=")[2].lower())
    if words and words[0].lower() in _OTHER_TASKS:
        _check_task(words[0].lower())
    if len(words) > 1 and words[0].lower() == "detect" and words[1].lower() in _MODES:
        del words[0]
    if not words:
        return words
    first = words[0].lower()
    if first in _MISSING:
        raise ConfigError(f"gridyolo {first} {_MISSING[first]}")
    return [*_SAME.get(first, [words[0]]), *words[1:]]


def _taken(words: list[str], key: str) -> str | None:
    """The value of key=value, which leaves the words; None where there is none."""
    for place, word in enumerate(words):
        if word.lower().startswith(f"{key}="):
            del words[place]
            return word.partition("=")[2].lower()
    return None


def _check_task(task: str | None) -> None:
    if task not in (None, "detect"):
        raise ConfigError(f"task {excerpt(task)} is not done here: gridyolo detects boxes")


def _is_darknets(words: Sequence[str]) -> bool:
    """Whether a line is in the order of darknet: `detector train obj.data own.cfg`, `yolo test yolov1.cfg`."""
    if words[:1] == ["detector"]:
        return True
    starts = len(words) > 1 and words[0].lower() in ("train", "test", "valid")
    return starts and PurePath(words[1]).suffix.lower() == ".cfg"


def _of_darknet(words: Sequence[str]) -> list[str]:
    """The order of darknet: [detector] ACTION [obj.data] CFG [WEIGHTS] [IMAGE]."""
    words = [word for word in words if word.lower() != "detector"]
    action, *rest = words or [""]
    command = {"train": "train", "test": "predict", "demo": "predict", "valid": "val", "map": "val"}.get(action.lower())
    if command is None:
        raise ConfigError(
            f"detector {excerpt(action)} is not a command; the commands are train, test, valid, map and demo"
        )
    result, has_weights = [command], False
    for word in rest:
        suffix = PurePath(word).suffix.lower()
        if word.startswith("-") or "=" in word:
            result.append(word)
        elif suffix == ".data":
            result += ["--data", word] if command != "predict" else []  # it says only where the names are
        elif suffix == ".cfg":
            result += ["--cfg", word]
        elif not has_weights and (suffix in (".weights", ".safetensors") or ".conv." in word):
            result += ["--weights", word]
            has_weights = True
        else:
            result.append(word)
    return result
