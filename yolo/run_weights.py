"""The weights file that is meant where somebody names a run: of a folder, its best weights."""

from __future__ import annotations

from pathlib import Path

from yolo.config.options import OTHERS_WEIGHTS
from yolo.console import listed
from yolo.errors import WeightsError, printable
from yolo.files import expand_home

_OTHERS_SUFFIXES = (*OTHERS_WEIGHTS, ".pth", ".h5", ".pdparams")  # a .pth may be a backbone, but not a detector
RUNS = Path("runs")  # where names of runs are looked for: the default of `--runs`


def find_weights(weights: str | Path) -> Path:
    """The file of a detector: a file is itself, a run folder stands for its best weights.

    A name alone, of which there is no file or run folder here, is that of a run below `runs/`.

    Raises:
        WeightsError: a folder without weights, or a name of which there is no file, folder or run.
    """
    path = _place(weights)
    if path.is_dir():
        return weights_path(path)
    if path.suffix.lower() in _OTHERS_SUFFIXES:
        raise WeightsError(
            f"{printable(path)}: is a file of another package; a detector is a *.safetensors file of gridyolo, the "
            "folder of its run, or a *.weights file of darknet"
        )
    if len(path.parts) == 1 and not path.suffix and not path.exists():
        found = sorted(file.parts[1] for file in RUNS.glob("*/weights/best.safetensors"))
        known = f"; runs with weights are {listed(found)}" if found else ""
        raise WeightsError(
            f"{printable(path)}: there is no such weights file or run folder, "
            f"and no run {printable(RUNS / path)}{known}"
        )
    return path


def weights_path(source: str | Path) -> Path:
    """The file that `--weights` names: the best weights of a run folder, or what is named itself.

    A name alone may be that of a run, as for `find_weights`; it may as well be a word such as DEFAULT.

    Raises:
        WeightsError: a folder without such weights, or a training state.
    """
    path = _place(source)
    if path.is_dir():
        for best in (path / "weights" / "best.safetensors", path / "best.safetensors"):
            if best.is_file():
                return best
        if (path / "weights" / "last.ckpt").is_file():
            raise WeightsError(
                f"{printable(path)}: has no weights/best.safetensors, because this run was not validated yet; "
                f"continue it with: gridyolo train --resume {printable(path)}"
            )
        raise WeightsError(
            f"{printable(path)}: is a folder without weights/best.safetensors; name a run folder or a weights file"
        )
    if path.suffix == ".ckpt":
        raise WeightsError(
            f"{printable(path)}: is a training state; start from best.safetensors beside it, or continue its run with "
            "--resume"
        )
    return path


def _place(source: str | Path) -> Path:
    """A path, or the run folder below `runs/` that a name alone stands for."""
    path = expand_home(source)
    run = RUNS / path
    is_run = len(path.parts) == 1 and run.is_dir() and not (path.is_file() or (path / "weights").is_dir())
    return run if is_run else path
