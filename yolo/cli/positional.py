"""Words without an option: `predict WEIGHTS SOURCE...`, `train DATA`, in which order they stand for which options."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from yolo import config
from yolo.cli.words import SEVERAL, Written
from yolo.errors import ConfigError, excerpt, shown

POSITIONAL: Mapping[type[Any], tuple[str, ...]] = {
    config.TrainConfig: ("data",),
    config.ValConfig: ("weights", "data"),
    config.PredictConfig: ("weights", SEVERAL),
    config.ReportConfig: ("ground_truth", "detections"),
    config.CompareConfig: ("a", "b"),
    config.InfoConfig: ("weights",),
    config.DarknetShowConfig: ("cfg", "weights"),
    config.DarknetImportConfig: ("weights", "output"),
    config.DarknetExportConfig: ("weights", "output"),
    config.DataCheckConfig: ("data",),
    config.DataStatsConfig: ("data",),
    config.DataPreviewConfig: ("data",),
    config.DataConvertConfig: ("data", "output"),
    config.DataSplitConfig: ("data", "output"),
    config.DataSynthConfig: ("output",),
    config.DataDownloadConfig: ("dataset",),
}
_WEIGHTS_SUFFIXES = (".safetensors", ".weights")


def usage(command: str, config_class: type[Any]) -> str:
    """The first line of a help.

    >>> usage("predict", config.PredictConfig)
    'gridyolo predict WEIGHTS SOURCE... [options]'
    """
    names = [name.upper().replace("_", "-") for name in POSITIONAL.get(config_class, ())]
    words = [f"{name}..." if name == SEVERAL.upper() else name for name in names]
    return " ".join(["gridyolo", command, *words, "[options]"])


def assign(
    words: Sequence[str], command: str, config_class: type[Any], *, given: Collection[str], in_files: Collection[str]
) -> list[Written]:
    """The options that words without one stand for.

    Args:
        words: in their order.
        command: for messages.
        config_class: of the command.
        given: options that the command line names; no word stands for these.
        in_files: options that a file names; words replace them if there are enough words.

    Raises:
        ConfigError: there are more words than the command takes, or they seem to be in the wrong order.
    """
    if not words:
        return []
    names = POSITIONAL.get(config_class, ())
    free = [name for name in names if name not in given]
    if len(words) < len(free):
        free = [name for name in free if name not in in_files] or free
    if config_class is config.DarknetShowConfig and len(words) == 1 and _is_weights(words[0]):
        free = ["weights", *(name for name in free if name != "weights")]
    most = len(free)
    if SEVERAL in free or (SEVERAL in names and SEVERAL in given and len(words) > most):
        free = [name for name in free if name != SEVERAL]
        free += [SEVERAL] * (len(words) - len(free))
    elif len(words) > most:
        extra = shown(words[most])
        known = f"usage: {usage(command, config_class)}"
        raise ConfigError(f"gridyolo {command}: {extra} does not belong to an option ({known})")
    _check_order(words, free, command, config_class)
    _check_second(words, [name for name in names if name not in given and name not in in_files], command, config_class)
    return [Written(name, word, f"--{name.replace('_', '-')}") for name, word in zip(free, words, strict=False)]


def _check_order(words: Sequence[str], names: Sequence[str], command: str, config_class: type[Any]) -> None:
    """ConfigError where the detector does not come first."""
    if config_class not in (config.ValConfig, config.PredictConfig) or names[0] != "weights" or _is_weights(words[0]):
        return
    # imported here, because only a line in the wrong order needs them
    from yolo.image_formats import IMAGE_SUFFIXES
    from yolo.media.video_read import VIDEO_SUFFIXES

    order = " ".join(usage(command, config_class).split()[:-1])
    if words[0].lower().endswith((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES, ".yaml", ".yml")):
        raise ConfigError(f"{order}: the detector comes first, and {excerpt(words[0])} is not one")
    later = next((word for word in words[1:] if _is_weights(word)), None)
    if later is not None and not Path(words[0]).is_dir():
        raise ConfigError(f"{order}: the detector comes first, so {excerpt(later)} before {excerpt(words[0])}")


def _check_second(words: Sequence[str], needed: Sequence[str], command: str, config_class: type[Any]) -> None:
    """ConfigError where one word stands alone for the detector and what it works on."""
    if config_class in (config.ValConfig, config.PredictConfig) and len(words) == 1 and len(needed) == 2:
        order = " ".join(usage(command, config_class).split()[:-1])
        raise ConfigError(f"{order}: two words are needed, and there is only {excerpt(words[0])}")


def _is_weights(word: str) -> bool:
    return word.lower().endswith(_WEIGHTS_SUFFIXES)
