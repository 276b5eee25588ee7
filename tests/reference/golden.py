"""Reference numbers made by darknet itself, where the folder that holds them is present."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

_FOLDER = Path(__file__).parents[2].parent / "shared" / "golden"


def golden_path(name: str) -> Path:
    """Path of a golden file; skips the test where the folder is absent."""
    if not _FOLDER.is_dir():
        pytest.skip(f"the golden folder {_FOLDER.name!r} of darknet's own numbers is not on this machine")
    return _FOLDER / name


def golden_npz(name: str) -> dict[str, Any]:
    """Arrays of a golden .npz file by name."""
    with np.load(golden_path(name)) as file:
        return {key: file[key] for key in file.files}
