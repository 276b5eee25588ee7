"""The cache that a configuration asks for, for one split."""

from __future__ import annotations

from pathlib import Path

from yolo.config import TrainConfig
from yolo.data.cache import ImageCache, MemoryCache
from yolo.data.disk_cache import DiskCache, default_cache_dir
from yolo.geometry import ResizeMode


def open_cache(
    config: TrainConfig, num_images: int, *, input_hw: tuple[int, int], resize: ResizeMode, for_training: bool
) -> ImageCache | None:
    """A cache of the placed images of a split; None where there is to be none.

    Images to train on may fill three quarters of the memory, those to validate on one. On disk they share a folder.

    Args:
        config: `cache`, `cache_mb` and `cache_dir` are looked at.
        num_images: of the split.
        input_hw: height and width of the placed images.
        resize: how they are placed.
        for_training: whether they are trained on; these are not decoded in full.
    """
    # a cache holds bytes, and this resize makes floats
    if config.cache == "none" or resize == "stretch_corners":
        return None
    if config.cache == "disk":
        folder = Path(config.cache_dir).expanduser() if config.cache_dir else default_cache_dir()
        return DiskCache(folder, input_hw, resize, may_reduce=for_training, limit_mb=config.cache_mb)
    return MemoryCache(num_images, input_hw, limit_mb=config.cache_mb * (3 if for_training else 1) // 4)
