"""Numbers made by darknet itself: those in tests/golden come with the project, larger ones lie beside the checkout."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

_SHIPPED = Path(__file__).parents[1] / "golden"
_LARGER = Path(__file__).parents[2].parent / "shared" / "golden"


def golden_path(name: str) -> Path:
    """Path of a golden file; skips the test where it is one of the larger ones and they are not on this machine."""
    path = next((path for path in (_SHIPPED / name, _LARGER / name) if path.is_file()), None)
    if path is None:
        # "yolov1_like.weights" and such; a misspelt name of a shipped one would be skipped as well
        assert name.startswith(("tiny_like", "yolov1_like")), f"{name} is not in {_SHIPPED}"
        pytest.skip(f"{name}, made by darknet, is too large to come with the project; see tests/golden/README.md")
    return path


def golden_npz(name: str) -> dict[str, Any]:
    """Arrays of a golden .npz file by name."""
    with np.load(golden_path(name)) as file:
        return {key: file[key] for key in file.files}
