"""Whether the 16-bit images of a dataset fill the range that they are read with: a few are decoded to see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from yolo.errors import ImageReadError
from yolo.files import read_bytes
from yolo.image_headers import is_deep_file
from yolo.images import DepthTally, decode

_MOST_LOOKED_AT, _MOST_DECODED = 256, 16


def depth_notes(paths: Sequence[str], bit_depth: int) -> list[str]:
    """What is odd about the bit depth of some of these image files, spread over all; see `DepthTally`."""
    places = np.linspace(0, len(paths) - 1, min(_MOST_LOOKED_AT, len(paths))).astype(int)
    deep = [paths[place] for place in places.tolist() if is_deep_file(Path(paths[place]))]
    tally = DepthTally(bit_depth)
    for path in deep[:: -(-len(deep) // _MOST_DECODED) or 1]:
        try:
            tally.add(decode(read_bytes(Path(path), error=ImageReadError), name=path).largest)
        except ImageReadError:
            continue  # reported when its turn comes
    return tally.notes()
