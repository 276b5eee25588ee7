"""`gridyolo data ...`: make the configuration and call what does the work."""

from __future__ import annotations

from collections.abc import Sequence

from yolo.cli.arguments import parse, run_nested
from yolo.config import (
    DataCheckConfig,
    DataConvertConfig,
    DataDownloadConfig,
    DataPreviewConfig,
    DataSplitConfig,
    DataStatsConfig,
    DataSynthConfig,
)
from yolo.console import stdout

_SUCCESS, _DATA_ERRORS = 0, 3
_HELP = """\
gridyolo data: check, describe, convert and make datasets

  gridyolo data check     --data DATA                  find errors and show them on one page; exit code 3 on errors
  gridyolo data stats     --data DATA                  numbers and plots, recommended grid and input size
  gridyolo data preview   --data DATA                  draw training batches as the network will see them
  gridyolo data convert   --data DATA --output DIR     write it as voc, coco, yolo or csv
  gridyolo data split     --data DATA --output DIR     lists for train, val and test; no file is moved
  gridyolo data synth     --output DIR                 draw a synthetic dataset with exact boxes
  gridyolo data download  --dataset NAME               fetch voc2007, voc2012 or coco2017 and verify the checksums

DATA is a dataset YAML or a folder in Pascal VOC, COCO, YOLO or CSV layout; it is never written to.
`gridyolo data ACTION --help` shows the options of an action."""


def data_command(words: Sequence[str]) -> int:
    """Check, describe, preview, convert, divide, draw or fetch a dataset."""
    actions = {
        "check": _check,
        "stats": _stats,
        "preview": _preview,
        "convert": _convert,
        "split": _split,
        "synth": _synth,
        "download": _download,
    }
    return run_nested("data", actions, words, help_text=_HELP)


def _check(words: Sequence[str]) -> int:
    config = parse("data check", DataCheckConfig, words)
    from yolo.curate.check import check

    return _DATA_ERRORS if check(config, stdout()).has_errors else _SUCCESS


def _stats(words: Sequence[str]) -> int:
    config = parse("data stats", DataStatsConfig, words)
    from yolo.curate.stats import stats

    stats(config, stdout())
    return _SUCCESS


def _preview(words: Sequence[str]) -> int:
    config = parse("data preview", DataPreviewConfig, words)
    from yolo.curate.preview import preview

    preview(config, stdout())
    return _SUCCESS


def _convert(words: Sequence[str]) -> int:
    config = parse("data convert", DataConvertConfig, words)
    from yolo.curate.write import convert

    convert(config, stdout())
    return _SUCCESS


def _split(words: Sequence[str]) -> int:
    config = parse("data split", DataSplitConfig, words)
    from yolo.curate.split import split

    split(config, stdout())
    return _SUCCESS


def _synth(words: Sequence[str]) -> int:
    config = parse("data synth", DataSynthConfig, words)
    from yolo.curate.synthetic import synth

    synth(config, stdout())
    return _SUCCESS


def _download(words: Sequence[str]) -> int:
    config = parse("data download", DataDownloadConfig, words)
    from yolo.curate.download import download

    download(config, stdout())
    return _SUCCESS
