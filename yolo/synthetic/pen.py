"""Drawing one thing of the synthetic dataset: a pen in the thing's own frame, then light on the silhouette.

The pen's unit is the radius of the thing; its frame has x to the right, y down and is turned by the pen. It draws
several times larger than asked; shrinking the result smooths the edges. What is drawn is in objects.py.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.structures import Float32
from yolo.synthetic.backgrounds import Rgb, smooth_noise

Points = NDArray[np.float64]  # (n, 2) x, y in radii

_MARGIN = 0.94  # the radius, as a share of half the canvas: room for strokes that stick out a little
_SHIFT = 4  # cv2 takes coordinates with so many fractional bits
_RELIEF_SIDE = 48  # relief is computed at this size, whatever the size of the patch: it is smooth, and so it is cheap


class Patch(NamedTuple):
    """One thing, ready to be laid on an image."""

    rgb: Float32  # (side, side, 3) about 0..255; meaningful also a little outside of the silhouette
    alpha: Float32  # (side, side) 0..1


class Pen:
    """Draws polygons and strokes; the silhouette is what was drawn with `shape` and not cut with `hole`.

    Args:
        side: of the patch that `patch` will return, pixels.
        angle: turn of the thing, radians.
        towards_light: unit vector (x, y) in the image, from the thing to the light.
        base: colour of everything that nothing is drawn on, (R, G, B) 0..255.
    """

    def __init__(self, side: int, *, angle: float, towards_light: tuple[float, float], base: Rgb) -> None:
        scale = 2 if side >= 80 else 4
        self._side = side
        self._half = side * scale / 2
        cos, sin = math.cos(angle), math.sin(angle)
        self._turn = np.array([[cos, sin], [-sin, cos]])  # for row vectors
        self._towards_light = towards_light
        # Where the light comes from in the frame of the thing.
        self.light = np.asarray(towards_light) @ self._turn.T
        self._colour = np.full((side * scale, side * scale, 3), base, np.uint8)
        self._mask = np.zeros((side * scale, side * scale), np.uint8)

    def shape(self, points: Points, colour: Rgb, *, grow: float = 0.0) -> None:
        """Fill a polygon, widened all around and rounded by `grow` radii; it belongs to the silhouette."""
        self.paint(points, colour, grow=grow)
        self._fill(self._mask, points, (255, 255, 255), grow)

    def paint(self, points: Points, colour: Rgb, *, grow: float = 0.0) -> None:
        """Fill a polygon with colour; it shows where the silhouette is."""
        self._fill(self._colour, points, colour, grow)

    def hole(self, points: Points) -> None:
        """Cut a polygon out of the silhouette."""
        self._fill(self._mask, points, (0, 0, 0), 0.0)

    def stroke(self, points: Points, colour: Rgb, width: float, *, solid: bool = False) -> None:
        """Draw an open line, `width` radii thick; `solid` makes it part of the silhouette."""
        pixels, thickness = [self._pixels(points)], max(1, round(width * self._half))
        cv2.polylines(self._colour, pixels, False, colour, thickness, cv2.LINE_8, _SHIFT)
        if solid:
            cv2.polylines(self._mask, pixels, False, (255, 255, 255), thickness, cv2.LINE_8, _SHIFT)

    def patch(self, generator: np.random.Generator, *, relief: float, strength: float, gloss: float) -> Patch:
        """Shrink the drawing, roughen it a little and light it.

        Args:
            generator: draws the roughness.
            relief: width of the part that slopes down to the edge, in radii.
            strength: how much brighter the side towards the light is, and how much darker the other, 0..1.
            gloss: how white the brightest parts get, 0..1.
        """
        size = (self._side, self._side)
        rgb = np.asarray(cv2.resize(self._colour, size, interpolation=cv2.INTER_AREA), np.float32)
        alpha = np.asarray(cv2.resize(self._mask, size, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)
        slope = _slope_towards(self._towards_light, alpha, relief)
        grain = smooth_noise(size, (max(2, self._side // 3), max(2, self._side // 3)), generator)
        rgb *= (1 + np.float32(strength) * slope + np.float32(0.05) * grain)[..., None]
        shine = np.float32(gloss) * np.clip(slope - np.float32(0.55), 0, 1)
        rgb += shine[..., None] * (255 - rgb)
        return Patch(rgb, alpha)

    def _fill(self, canvas: NDArray[np.uint8], points: Points, colour: Rgb, grow: float) -> None:
        pixels = [self._pixels(points)]
        cv2.fillPoly(canvas, pixels, colour, cv2.LINE_8, _SHIFT)
        if grow > 0:
            thickness = max(1, round(2 * grow * self._half))
            cv2.polylines(canvas, pixels, True, colour, thickness, cv2.LINE_8, _SHIFT)

    def _pixels(self, points: Points) -> NDArray[np.int32]:
        placed = (points @ self._turn * _MARGIN + 1) * self._half
        return np.asarray(np.rint((placed - 0.5) * 2**_SHIFT), np.int32)


def circle(x: float, y: float, radius: float, *, flatten: float = 1.0, angle: float = 0.0, count: int = 40) -> Points:
    """Ellipse as (count, 2) points: `radius` along the axis at `angle`, `radius * flatten` across it."""
    around = np.linspace(0, 2 * np.pi, count, endpoint=False)
    along, across = radius * np.cos(around), radius * flatten * np.sin(around)
    cos, sin = math.cos(angle), math.sin(angle)
    return np.stack([x + along * cos - across * sin, y + along * sin + across * cos], axis=1)


def polar(angles: NDArray[np.float64], radii: NDArray[np.float64]) -> Points:
    """(n,) angles and radii around the origin -> (n, 2) points."""
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def shaded(colour: Rgb, brightness: float) -> Rgb:
    """A colour times a brightness, each channel at most 255."""
    red, green, blue = (min(255.0, channel * brightness) for channel in colour)
    return red, green, blue


def vivid(hue: float, saturation: float = 0.8, value: float = 0.9) -> Rgb:
    """HSV to RGB; hue in turns (1/3 is green, any real number), the others 0..1."""
    places = ((start + hue * 6) % 6 for start in (5, 3, 1))
    red, green, blue = (255 * value * (1 - saturation * max(0.0, min(k, 4 - k, 1.0))) for k in places)
    return red, green, blue


def _slope_towards(towards_light: tuple[float, float], alpha: Float32, relief: float) -> Float32:
    """(side, side) -1..1: how much the surface leans to the light if the silhouette bulges."""
    small = cv2.resize(alpha, (_RELIEF_SIDE, _RELIEF_SIDE), interpolation=cv2.INTER_AREA)
    height = cv2.GaussianBlur(small, (0, 0), relief * _RELIEF_SIDE / 2, borderType=cv2.BORDER_CONSTANT)
    lean_x = cv2.Sobel(height, cv2.CV_32F, 1, 0)
    lean_y = cv2.Sobel(height, cv2.CV_32F, 0, 1)
    slope = -(lean_x * np.float32(towards_light[0]) + lean_y * np.float32(towards_light[1]))
    slope /= max(float(np.abs(slope).max()), 1e-6)
    return np.asarray(cv2.resize(slope, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
