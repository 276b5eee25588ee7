"""darknet's truth vector: the objects of an image in the layout that its detection layer is trained with.

The package's own loss never sees this vector. Source: darknet src/data.c, fill_truth_region.
"""

import numpy as np
from numpy.typing import NDArray

# cell occupied, x, y, w, h
_VALUES_PER_OBJECT = 5


def encode_truth(labels: NDArray[np.float64], grid_size: int, num_classes: int) -> NDArray[np.float32]:
    """The truth vector of an image.

    The cell of row r and column c starts at (r·S + c)·(5 + C) and holds 1, the one-hot class, the centre's place in
    the cell, and w and h relative to the image. A cell holds the first object that claims it. A class outside
    [0, C) gives an object without a class.

    Args:
        labels: (T, 5) rows (class, x, y, w, h), centre and size relative to the image, centres inside it.
        grid_size: S.
        num_classes: C.

    Returns:
        (S·S·(5 + C),) float32.
    """
    truth = np.zeros((grid_size, grid_size, _VALUES_PER_OBJECT + num_classes), np.float32)
    for label, x, y, w, h in labels.tolist():
        col, row = (min(int(centre * grid_size), grid_size - 1) for centre in (x, y))
        cell = truth[row, col]
        if cell[0]:
            continue
        cell[0] = 1
        if 0 <= label < num_classes:
            cell[1 + int(label)] = 1
        cell[1 + num_classes :] = (x * grid_size - col, y * grid_size - row, w, h)
    return truth.reshape(-1)
