"""Textured backgrounds of the synthetic dataset: wood, grass, gingham, tiles, sand, a rug, water.

Every background is (H, W, 3) float32 RGB in about 0..255 and is seen straight from above. They are made of cheap smooth
noise and of stripes. Left out: what lies on them and how they are lit (synthetic.py).
"""

from __future__ import annotations

import cv2
import numpy as np

from yolo.arrays import Float32, Float64

_WOODS = ((196, 150, 98), (150, 98, 58), (112, 78, 58), (214, 184, 142), (168, 120, 84))
_GRASSES = ((88, 138, 52), (118, 150, 66), (70, 112, 58))
_NUM_BLADES = 260  # of grass
_SANDS = ((222, 200, 158), (204, 176, 134), (190, 184, 172))


def draw_background(size_hw: tuple[int, int], generator: np.random.Generator) -> Float32:
    """One background, chosen and varied by `generator`: (H, W, 3) float32 RGB, not clipped to 0..255."""
    backgrounds = (_wood, _grass, _gingham, _tiles, _sand, _rug, _water)
    return backgrounds[generator.integers(len(backgrounds))](size_hw, generator)


def smooth_noise(size_hw: tuple[int, int], cells_hw: tuple[int, int], generator: np.random.Generator) -> Float32:
    """(H, W) noise of about -1..1 whose blobs are one `cells_hw`-th of the image high and wide."""
    height, width = size_hw
    rows, cols = max(2, min(cells_hw[0], height)), max(2, min(cells_hw[1], width))
    coarse = generator.random((rows, cols), dtype=np.float32) * 2 - 1
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _plane(size_hw: tuple[int, int], angle: float) -> tuple[Float32, Float32]:
    """Turned coordinates of each pixel, along and across, in multiples of the image's shorter side: two of (H, W)."""
    height, width = size_hw
    unit = np.float32(min(size_hw))
    x = np.arange(width, dtype=np.float32)[None, :] / unit
    y = np.arange(height, dtype=np.float32)[:, None] / unit
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def _tinted(base: Float64, brightness: Float32) -> Float32:
    """A colour, times one brightness per pixel: (H, W) -> (H, W, 3)."""
    return np.asarray(brightness[..., None] * base.astype(np.float32), np.float32)


def _mixed(first: Float64, second: Float64, share: Float32) -> Float32:
    """From `first` where share is 0 to `second` where it is 1: (H, W) -> (H, W, 3)."""
    low, high = first.astype(np.float32), second.astype(np.float32)
    return low + share[..., None] * (high - low)


def _pick(colours: tuple[tuple[int, int, int], ...], generator: np.random.Generator) -> Float64:
    brightness, tint = generator.uniform(0.86, 1.08), generator.uniform(0.95, 1.05, 3)
    return np.asarray(colours[generator.integers(len(colours))]) * brightness * tint


def _muted(generator: np.random.Generator, low: float, high: float) -> Float64:
    """A dull colour, so that the objects stand out: channels in low..high, half way to their mean."""
    channels = generator.uniform(low, high, 3)
    return np.asarray((channels + channels.mean()) / 2)


def _wood(size_hw: tuple[int, int], generator: np.random.Generator) -> Float32:
    upright = generator.random() < 0.5
    height, width = size_hw[::-1] if upright else size_hw
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    planks = int(generator.integers(2, 6))
    plank = np.minimum((y * planks).astype(np.int64), planks - 1)  # (H, 1)
    # Every plank is cut from another place of the tree: its own brightness and phase of the rings.
    shade = generator.uniform(0.85, 1.1, planks).astype(np.float32)[plank]
    phase = generator.uniform(0, 7, planks).astype(np.float32)[plank]
    bends = smooth_noise((height, width), (planks * 2, 3), generator)
    rings = np.sin(y * generator.uniform(50, 110) + 5 * bends + phase)
    fibres = smooth_noise((height, width), (height // 2, 7), generator)
    seam = np.minimum((y * planks) % 1, 1 - (y * planks) % 1) * height / planks < 1.2
    brightness = shade * (1 + 0.06 * rings + 0.07 * fibres) * np.where(seam, np.float32(0.5), np.float32(1))
    image = _tinted(_pick(_WOODS, generator), brightness.astype(np.float32))
    return np.ascontiguousarray(image.transpose(1, 0, 2)) if upright else image


def _grass(size_hw: tuple[int, int], generator: np.random.Generator) -> Float32:
    height, width = size_hw
    patches = smooth_noise(size_hw, (5, 5), generator)
    blades = smooth_noise(size_hw, (height // 6, width // 2), generator)
    base = _pick(_GRASSES, generator)
    image = _tinted(base, 0.85 + 0.12 * patches + 0.2 * blades)
    start = generator.uniform(0, 1, (_NUM_BLADES, 2)) * (width, height)
    lean = generator.uniform((-0.02, -0.05), (0.02, -0.015), (_NUM_BLADES, 2)) * min(size_hw)
    tone = generator.uniform(0.6, 1.5, _NUM_BLADES)
    for (x, y), (dx, dy), bright in zip(start, lean, tone, strict=True):
        cv2.line(image, (int(x), int(y)), (int(x + dx), int(y + dy)), base * bright * (1, 1, 0.8), 1)
    return image


def _gingham(size_hw: tuple[int, int], generator: np.random.Generator) -> Float32:
    along, across = _plane(size_hw, generator.uniform(-0.6, 0.6))
    stripes = generator.uniform(4, 9)
    dark = (np.sin(along * stripes * np.pi) > 0).astype(np.float32)
    dark += np.sin(across * stripes * np.pi) > 0
    weave = smooth_noise(size_hw, (size_hw[0] // 2, size_hw[1] // 2), generator)
    folds = smooth_noise(size_hw, (3, 4), generator)
    light = _muted(generator, 205, 250)
    image = _mixed(light, _muted(generator, 40, 210), dark * np.float32(0.4))
    return np.asarray(image * (1 + 0.05 * weave + 0.09 * folds)[..., None], np.float32)


def _tiles(size_hw: tuple[int, int], generator: np.random.Generator) -> Float32:
    along, across = _plane(size_hw, generator.uniform(-0.8, 0.8))
    count = generator.uniform(2.5, 6)
    # 16 keeps the indices positive for any turn of the plane; tiles may repeat after 32.
    column, row = along * count + 16, across * count + 16
    tones = generator.uniform(0.86, 1.06, (32, 32)).astype(np.float32)
    tone = tones[row.astype(np.int64) % 32, column.astype(np.int64) % 32]
    to_edge = np.minimum(np.minimum(column % 1, 1 - column % 1), np.minimum(row % 1, 1 - row % 1))
    grout = np.clip(1.6 - to_edge * 40, 0, 1)
    stains = smooth_noise(size_hw, (18, 18), generator) * smooth_noise(size_hw, (6, 6), generator)
    image = _tinted(_muted(generator, 90, 235), tone * (1 + 0.12 * stains))
    joint = _muted(generator, 90, 150).astype(np.float32)
    return np.asarray(image + grout[..., None] * (joint - image), np.float32)


def _sand(size_hw: tuple[int, int], generator: np.random.Generator) -> Float32:
    along, _ = _plane(size_hw, generator.uniform(0, np.pi))
    bends = smooth_noise(size_hw, (4, 4), generator)
    ripples = np.sin(along * generator.uniform(25, 60) + 4 * bends)
    grains = smooth_noise(size_hw, size_hw, generator)
    return _tinted(_pick(_SANDS, generator), 0.95 + 0.05 * ripples + 0.06 * bends + 0.09 * grains)


def _rug(size_hw: tuple[int, int], generator: np.random.Generator) -> Float32:
    along, across = _plane(size_hw, generator.uniform(0, np.pi))
    teeth, bands = generator.uniform(3, 8), generator.uniform(5, 10)
    zigzag = np.abs((along * teeth) % 1 - 0.5) * generator.uniform(0, 1.6)
    yarns = np.asarray([_muted(generator, 50, 230) for _ in range(4)], np.float32)  # (4, 3)
    order = generator.integers(0, len(yarns), 64)
    image = yarns[order[((across + 4) * bands + zigzag).astype(np.int64) % 64]]
    tufts = smooth_noise(size_hw, (size_hw[0] // 2, size_hw[1] // 2), generator)
    return np.asarray(image * (0.95 + 0.14 * tufts)[..., None], np.float32)


def _water(size_hw: tuple[int, int], generator: np.random.Generator) -> Float32:
    cells = int(generator.integers(4, 9))
    swell = smooth_noise(size_hw, (cells, cells), generator)
    ripple = smooth_noise(size_hw, (cells * 2, cells * 2), generator)
    # Light gathers in thin bright lines where the surface is flat, that is where the noise crosses 0.
    lines = np.clip(1 - np.abs(swell + 0.5 * ripple) * 3.5, 0, 1) ** 2
    deep = generator.uniform((20, 110, 150), (60, 150, 190))
    return _mixed(deep, np.array((215, 240, 245)), np.asarray(0.12 + 0.1 * ripple + 0.5 * lines, np.float32))
