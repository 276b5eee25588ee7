"""Random generators that depend on (seed, epoch, index) and on nothing else.

The same sample gets the same draws in any worker, on any rank and in any order, and a resumed run continues
with the draws that the uninterrupted run would have made.
"""

import numpy as np
from numpy.typing import NDArray

# Apart from each other, so that the order of an epoch says nothing about the pixels of its samples or their partners.
_SAMPLE_STREAM, _ORDER_STREAM, _PARTNER_STREAM = 0, 1, 2


def sample_generator(seed: int, epoch: int, index: int, *, repeat: int = 0) -> np.random.Generator:
    """Generator for everything drawn for one sample in one epoch.

    Args:
        seed: of the run, >= 0.
        epoch: >= 0.
        index: place of the sample in the dataset, >= 0.
        repeat: how often the epoch has drawn this sample before, >= 0.

    >>> sample_generator(0, 1, 2).integers(100) == sample_generator(0, 1, 2).integers(100)
    np.True_
    """
    key = (seed, _SAMPLE_STREAM, epoch, index, *((repeat,) if repeat else ()))
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def epoch_order(seed: int, epoch: int, length: int, *, draws: int | None = None) -> NDArray[np.int64]:
    """Order in which an epoch visits a dataset: a permutation of range(length), int64.

    With `draws` the order has that many places, each drawn by itself: an image may come twice, or not at all.
    """
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, _ORDER_STREAM, epoch))))
    order = generator.permutation(length) if draws is None else generator.integers(length, size=draws)
    return order.astype(np.int64)


def partner_generator(seed: int, epoch: int, step: int) -> np.random.Generator:
    """Generator for the draw of the images that the samples of one batch are mixed with."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, _PARTNER_STREAM, epoch, step))))
