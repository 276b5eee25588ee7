"""The things in the synthetic dataset: balls, dice, donuts, fish, leaves and stars, and clutter without a label.

`draw_object` and `draw_clutter` draw one thing as a patch, with a `Pen` in the thing's own frame: its unit is the
radius of the thing, x points right, y down, and the pen turns it. It draws several times larger than needed, because
shrinking smooths the edges, and then shades the silhouette. Left out: where things lie (synthetic.py).
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np

from yolo.arrays import Float32, Float64, Int32, UInt8
from yolo.curate.synthetic_backgrounds import smooth_noise

Rgb = tuple[float, float, float]
Points = Float64  # (n, 2) x, y in radii

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

    def _fill(self, canvas: UInt8, points: Points, colour: Rgb, grow: float) -> None:
        pixels = [self._pixels(points)]
        cv2.fillPoly(canvas, pixels, colour, cv2.LINE_8, _SHIFT)
        if grow > 0:
            thickness = max(1, round(2 * grow * self._half))
            cv2.polylines(canvas, pixels, True, colour, thickness, cv2.LINE_8, _SHIFT)

    def _pixels(self, points: Points) -> Int32:
        placed = (points @ self._turn * _MARGIN + 1) * self._half
        return np.asarray(np.rint((placed - 0.5) * 2**_SHIFT), np.int32)


def circle(x: float, y: float, radius: float, *, flatten: float = 1.0, angle: float = 0.0, count: int = 40) -> Points:
    """Ellipse as (count, 2) points: `radius` along the axis at `angle`, `radius * flatten` across it."""
    around = np.linspace(0, 2 * np.pi, count, endpoint=False)
    along, across = radius * np.cos(around), radius * flatten * np.sin(around)
    cos, sin = math.cos(angle), math.sin(angle)
    return np.stack([x + along * cos - across * sin, y + along * sin + across * cos], axis=1)


def polar(angles: Float64, radii: Float64) -> Points:
    """(n,) angles and radii around the origin -> (n, 2) points."""
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def shaded(colour: Rgb, brightness: float) -> Rgb:
    """A colour times a brightness, each channel at most 255."""
    red, green, blue = (min(255.0, channel * brightness) for channel in colour)
    return red, green, blue


def vivid(hue: float, saturation: float = 0.8, value: float = 0.9) -> Rgb:
    """HSV to RGB 0..255; hue in turns (1/3 is green, any real number), the others 0..1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def _slope_towards(towards_light: tuple[float, float], alpha: Float32, relief: float) -> Float32:
    """(side, side) -1..1: how much the surface leans to the light if the silhouette bulges."""
    small = cv2.resize(alpha, (_RELIEF_SIDE, _RELIEF_SIDE), interpolation=cv2.INTER_AREA)
    height = cv2.GaussianBlur(small, (0, 0), relief * _RELIEF_SIDE / 2, borderType=cv2.BORDER_CONSTANT)
    lean_x = cv2.Sobel(height, cv2.CV_32F, 1, 0)
    lean_y = cv2.Sobel(height, cv2.CV_32F, 0, 1)
    slope = -(lean_x * np.float32(towards_light[0]) + lean_y * np.float32(towards_light[1]))
    slope /= max(float(np.abs(slope).max()), 1e-6)
    return np.asarray(cv2.resize(slope, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


_WHITE: Rgb = (250.0, 250.0, 245.0)
_INK: Rgb = (38.0, 32.0, 40.0)
_Light = tuple[float, float]
_Draw = Callable[[int, float, _Light, np.random.Generator], Patch]


def draw_object(label: int, side: int, towards_light: _Light, generator: np.random.Generator) -> Patch:
    """One object, varied and turned by `generator`.

    Args:
        label: place of its class in `CLASS_NAMES`.
        side: of the patch, pixels, >= 4; the object nearly fills it.
        towards_light: unit vector (x, y) from the object to the light, in the image.
        generator: of the scene.
    """
    draw = _OBJECTS[CLASS_NAMES[label]]
    return draw(side, generator.uniform(0, 2 * np.pi), towards_light, generator)


def draw_clutter(side: int, towards_light: _Light, generator: np.random.Generator) -> Patch:
    """A thing without a label: a pebble, a pencil, a note or a loop of yarn; see `draw_object`."""
    draw = _CLUTTER[generator.integers(len(_CLUTTER))]
    return draw(side, generator.uniform(0, 2 * np.pi), towards_light, generator)


def _ball(side: int, angle: float, light: _Light, generator: np.random.Generator) -> Patch:
    colour, other = _two_colours(generator)
    pen = Pen(side, angle=angle, towards_light=light, base=colour)
    pen.shape(circle(0, 0, 1), colour)
    pattern = generator.integers(3)
    if pattern == 0:  # a beach ball: sectors around a pole that is off the centre
        pole, count = generator.uniform(0.15, 0.5), int(generator.choice((6, 8)))
        width = 2 * np.pi / count
        for sector in range(0, count, 2):
            around = np.linspace(sector * width, (sector + 1) * width, 9)
            pen.paint(np.vstack([[(pole, 0.0)], polar(around, np.full(9, 1.1))]), other)
        pen.paint(circle(pole, 0, 0.16, flatten=0.85, angle=np.pi / 2), _WHITE)
    elif pattern == 1:  # a broad band around the middle
        height = generator.uniform(0.18, 0.32)
        bend = np.linspace(-1.1, 1.1, 21)
        upper = np.stack([bend, -height + 0.3 * bend**2 - 0.15], axis=1)
        lower = np.stack([bend, height + 0.3 * bend**2 - 0.15], axis=1)
        pen.paint(np.vstack([upper, lower[::-1]]), _WHITE, grow=0.07)
        pen.paint(np.vstack([upper, lower[::-1]]), other)
    else:  # dots, flattened towards the edge as on a sphere
        for ring, count in ((0.0, 1), (0.52, 6), (0.9, 11)):
            for turn in np.linspace(0, 2 * np.pi, count, endpoint=False):
                x, y = float(ring * np.cos(turn)), float(ring * np.sin(turn))
                flatness = float(np.sqrt(1 - ring**2))
                pen.paint(circle(x, y, 0.18 * max(flatness, 0.3), flatten=1 / max(flatness, 0.3), angle=turn), other)
    x, y = pen.light * 0.5
    pen.paint(circle(x, y, 0.2, flatten=0.65, angle=float(np.arctan2(y, x)) + np.pi / 2), (255, 255, 255))
    return pen.patch(generator, relief=0.42, strength=0.42, gloss=0.25)


def _die(side: int, angle: float, light: _Light, generator: np.random.Generator) -> Patch:
    dark = generator.random() < 0.45
    body = vivid(generator.random(), 0.75, generator.uniform(0.5, 0.8)) if dark else _WHITE
    if not dark:
        body = shaded(body, generator.uniform(0.88, 1.0))
    pip_colour = _WHITE if dark else ((190.0, 30.0, 40.0) if generator.random() < 0.3 else _INK)
    pen = Pen(side, angle=angle, towards_light=light, base=body)
    axes = _tilted_axes(generator.uniform(0, 2 * np.pi), generator.uniform(0.3, 0.8))
    corners = np.array(list(product((-1, 1), repeat=3))) @ axes
    half = 0.9 / np.linalg.norm(corners[:, :2], axis=1).max()  # half an edge, so that the silhouette fits
    light_3d = np.append(pen.light * 0.6, 0.8)
    values = generator.permutation(3) + 1  # of three faces; opposite faces add up to 7
    faces = sorted(product(range(3), (-1, 1)), key=lambda face: face[1] * axes[face[0], 2])
    for axis, sign in faces[3:]:  # the three that face the viewer, the most frontal last
        normal = sign * axes[axis]
        u, v = axes[(axis + 1) % 3], axes[(axis + 2) % 3]
        colour = shaded(body, 0.62 + 0.4 * max(0.0, float(normal @ light_3d)))
        edge = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.88
        pen.shape(_on_face(edge, normal * 0.94, u, v) * half, colour, grow=0.08)
        for x, y in _pips(int(values[axis]) if sign > 0 else 7 - int(values[axis])):
            pen.paint(_on_face(circle(x, y, 0.2, count=20), normal, u, v) * half, pip_colour)
    return pen.patch(generator, relief=0.08, strength=0.12, gloss=0.3)


def _donut(side: int, angle: float, light: _Light, generator: np.random.Generator) -> Patch:
    dough = shaded((214.0, 158.0, 92.0), generator.uniform(0.8, 1.1))
    icings = ((245, 150, 185), (92, 54, 36), (250, 240, 225), (150, 205, 240), (190, 160, 235), (160, 220, 170))
    icing = shaded(icings[generator.integers(len(icings))], generator.uniform(0.9, 1.05))
    pen = Pen(side, angle=angle, towards_light=light, base=dough)
    pen.shape(circle(0, 0, 1), dough)
    hole = generator.uniform(0.24, 0.36)
    around = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    waves = 0.05 * np.sin(around * generator.integers(6, 10)) + 0.03 * np.sin(around * 3 + generator.uniform(0, 6))
    pen.paint(polar(around, 0.86 + waves), shaded(icing, 0.85), grow=0.03)
    pen.paint(polar(around, 0.84 + waves), icing)
    pen.paint(polar(around, hole + 0.07 - waves), dough)
    turns, lean = generator.uniform(0, 2 * np.pi, 46), generator.uniform(0, 2 * np.pi, 46)
    places = polar(turns, generator.uniform(hole + 0.17, 0.76, 46))
    step = 0.06 * np.stack([np.cos(lean), np.sin(lean)], axis=1)
    for place, arm in zip(places, step, strict=True):
        pen.stroke(np.stack([place - arm, place + arm]), vivid(generator.random(), 0.85, 1.0), 0.055)
    pen.hole(circle(0, 0, hole))
    return pen.patch(generator, relief=0.2, strength=0.3, gloss=0.7)


def _fish(side: int, angle: float, light: _Light, generator: np.random.Generator) -> Patch:
    colour, other = _two_colours(generator)
    pen = Pen(side, angle=angle, towards_light=light, base=colour)
    slim = generator.uniform(0.4, 0.58)
    fork = generator.uniform(0.38, 0.52)
    pen.shape(np.array([(-0.45, 0), (-0.82, -fork), (-0.7, 0), (-0.82, fork)]), shaded(other, 0.95), grow=0.06)
    pen.shape(np.array([(-0.3, -slim * 0.6), (-0.2, -slim - 0.2), (0.35, -slim * 0.7)]), other, grow=0.05)
    pen.shape(np.array([(-0.2, slim * 0.6), (-0.25, slim + 0.12), (0.1, slim * 0.7)]), other, grow=0.05)
    x = np.linspace(-0.62, 0.96, 30)
    profile = slim * np.sin(np.pi * np.linspace(0.06, 1, 30) ** 0.85) ** 0.75
    pen.shape(np.stack([np.append(x, x[::-1]), np.append(-profile, profile[::-1])], axis=1), colour, grow=0.02)
    if generator.random() < 0.5:  # a clownfish's bands
        for middle in (-0.35, 0.12):
            y = np.linspace(-1, 1, 9) * slim * (0.8 if middle < 0 else 0.98)
            pen.stroke(np.stack([middle + 0.1 * (1 - (y / slim) ** 2), y], axis=1), _WHITE, 0.16)
    else:  # scales
        for row, column in product(range(-2, 3), range(5)):
            centre = -0.42 + column * 0.18 + 0.09 * (row % 2)
            scale = circle(centre, row * slim * 0.3, 0.1, count=24)[18:] if row else circle(centre, 0, 0.1)[30:]
            arc = np.vstack([scale, circle(centre, row * slim * 0.3, 0.1, count=24)[:7]])
            pen.stroke(arc, shaded(colour, 0.68), 0.035)
    gill = np.linspace(-0.9, 0.9, 9)
    pen.stroke(np.stack([0.38 + 0.14 * np.cos(gill * 1.5), gill * slim * 0.7], axis=1), shaded(colour, 0.6), 0.045)
    pen.paint(circle(0.64, -slim * 0.3, 0.13), _WHITE)
    pen.paint(circle(0.67, -slim * 0.3, 0.07), _INK)
    pen.stroke(np.array([(0.66, slim * 0.3), (0.76, slim * 0.34), (0.86, slim * 0.2)]), _INK, 0.045)
    return pen.patch(generator, relief=0.16, strength=0.28, gloss=0.5)


def _leaf(side: int, angle: float, light: _Light, generator: np.random.Generator) -> Patch:
    hue = generator.choice((0.0, 0.06, 0.11, 0.2, 0.27, 0.33)) + generator.uniform(-0.02, 0.02)
    colour = vivid(hue, generator.uniform(0.65, 0.9), generator.uniform(0.5, 0.82))
    vein = shaded(colour, 1.4) if generator.random() < 0.6 else shaded(colour, 0.6)
    pen = Pen(side, angle=angle, towards_light=light, base=colour)
    bend, wide = generator.uniform(-0.18, 0.18), generator.uniform(0.38, 0.6)
    along = np.linspace(0, 1, 61)
    x = -0.6 + 1.58 * along
    middle = bend * (4 * along * (1 - along) - 0.5)
    teeth = 0.05 * ((along * 11) % 1) * np.minimum(1, 6 * (1 - along)) if generator.random() < 0.5 else 0
    width = wide * np.sin(np.pi * along**0.8) ** 0.9 + teeth
    outline = np.stack([np.append(x, x[::-1]), np.append(middle - width, (middle + width)[::-1])], axis=1)
    pen.stroke(np.array([(-0.93, middle[0] - bend * 0.8), (-0.6, middle[0])]), shaded(colour, 0.6), 0.1, solid=True)
    pen.shape(outline, colour)
    # One half of the blade leans away.
    half = np.stack([np.append(x, x[::-1]), np.append(middle, (middle + width)[::-1])], axis=1)
    pen.paint(half, shaded(colour, 0.84))
    for place in range(8, 52, 8):
        for way in (-1, 1):
            tip = min(place + 9, 60)
            end = (x[tip], middle[tip] + way * width[tip] * 0.8)
            pen.stroke(np.array([(x[place], middle[place]), end]), vein, 0.035)
    pen.stroke(np.stack([x, middle], axis=1)[:58], vein, 0.06)
    return pen.patch(generator, relief=0.14, strength=0.18, gloss=0.15)


def _star(side: int, angle: float, light: _Light, generator: np.random.Generator) -> Patch:
    hues = (0.13, 0.14, 0.12, 0.04, 0.93, 0.56, 0.78)
    hue = generator.choice(hues) + generator.uniform(-0.02, 0.02)
    colour = vivid(hue, generator.uniform(0.65, 0.9), generator.uniform(0.85, 1.0))
    folded = generator.random() < 0.4
    # A face is best seen more or less upright.
    lean = angle if folded else angle / 6 - 0.5
    pen = Pen(side, angle=lean, towards_light=light, base=colour)
    turns = np.arange(10) * np.pi / 5 - np.pi / 2
    tips = polar(turns, np.where(np.arange(10) % 2 == 0, 0.9, generator.uniform(0.42, 0.52)))
    pen.shape(tips, colour, grow=0.09)
    if folded:  # every arm has a bright and a dark half
        for first, second in zip(tips[::2], tips[1::2], strict=True):
            pen.paint(np.array([(0, 0), first * 1.12, second * 1.1]), shaded(colour, 0.74))
    else:  # a face
        for eye in (-0.16, 0.16):
            pen.paint(circle(eye, -0.08, 0.065, flatten=1.4), _INK)
            pen.paint(circle(eye * 1.9, 0.08, 0.075), vivid(0.97, 0.5, 1.0))
        smile = np.linspace(-1, 1, 9)
        pen.stroke(np.stack([smile * 0.15, 0.2 - 0.12 * smile**2], axis=1), _INK, 0.05)
    return pen.patch(generator, relief=0.12, strength=0.28, gloss=0.5)


def _pebble(side: int, angle: float, light: _Light, generator: np.random.Generator) -> Patch:
    colour = vivid(generator.uniform(0.05, 0.15), generator.uniform(0, 0.2), generator.uniform(0.4, 0.75))
    pen = Pen(side, angle=angle, towards_light=light, base=colour)
    around = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    lumps = 0.12 * np.sin(2 * around + generator.uniform(0, 6)) + 0.07 * np.sin(3 * around + generator.uniform(0, 6))
    pen.shape(polar(around, 0.78 + lumps) * (1, generator.uniform(0.55, 0.9)), colour)
    for x, y, tone in generator.uniform((-0.8, -0.7, 0.7), (0.8, 0.7, 1.3), (40, 3)):
        pen.paint(circle(x, y, 0.05, count=8), shaded(colour, tone))
    return pen.patch(generator, relief=0.3, strength=0.35, gloss=0.0)


def _pencil(side: int, angle: float, light: _Light, generator: np.random.Generator) -> Patch:
    colour = vivid(generator.random(), 0.75, generator.uniform(0.6, 0.95))
    pen = Pen(side, angle=angle, towards_light=light, base=colour)
    wide = 0.085
    pen.shape(np.array([(-0.9, -wide), (0.7, -wide), (0.98, 0), (0.7, wide), (-0.9, wide)]), (232.0, 196.0, 150.0))
    for low, high, tone in ((-1, -0.3, 1.0), (-0.3, 0.3, 1.15), (0.3, 1, 0.8)):
        facet = np.array([(-0.75, low * wide), (0.7, low * wide), (0.7, high * wide), (-0.75, high * wide)])
        pen.paint(facet, shaded(colour, tone))
    pen.paint(np.array([(0.89, -wide), (1, -wide), (1, wide), (0.89, wide)]), _INK)
    pen.paint(np.array([(-0.82, -wide), (-0.7, -wide), (-0.7, wide), (-0.82, wide)]), (190.0, 190.0, 195.0))
    pen.shape(np.array([(-0.95, -wide), (-0.82, -wide), (-0.82, wide), (-0.95, wide)]), (230.0, 140.0, 150.0))
    return pen.patch(generator, relief=0.1, strength=0.15, gloss=0.2)


def _note(side: int, angle: float, light: _Light, generator: np.random.Generator) -> Patch:
    paper = vivid(generator.random(), generator.uniform(0.05, 0.3), 0.96)
    pen = Pen(side, angle=angle, towards_light=light, base=paper)
    tall = generator.uniform(0.5, 0.75)
    pen.shape(np.array([(-0.75, -tall), (0.75, -tall), (0.75, tall * 0.75), (0.55, tall), (-0.75, tall)]), paper)
    pen.paint(np.array([(0.75, tall * 0.75), (0.55, tall), (0.53, tall * 0.72)]), shaded(paper, 0.75))
    for y in np.linspace(-tall * 0.7, tall * 0.6, 6):
        x = np.arange(-0.6, generator.uniform(0.0, 0.6), 0.05)
        pen.stroke(np.stack([x, y + generator.uniform(-0.03, 0.03, len(x))], axis=1), (70.0, 80.0, 130.0), 0.025)
    return pen.patch(generator, relief=0.05, strength=0.06, gloss=0.0)


def _yarn(side: int, angle: float, light: _Light, generator: np.random.Generator) -> Patch:
    colour = vivid(generator.random(), 0.55, generator.uniform(0.5, 0.9))
    pen = Pen(side, angle=angle, towards_light=light, base=colour)
    t = np.linspace(0, 1, 60)
    x = -0.9 + 1.8 * t + 0.25 * np.sin(t * generator.uniform(5, 12))
    y = 0.5 * np.sin(t * generator.uniform(4, 11) + generator.uniform(0, 6))
    pen.stroke(np.clip(np.stack([x, y], axis=1), -0.92, 0.92), colour, 0.07, solid=True)
    return pen.patch(generator, relief=0.06, strength=0.3, gloss=0.0)


def _two_colours(generator: np.random.Generator) -> tuple[Rgb, Rgb]:
    hue = generator.random()
    first = vivid(hue, generator.uniform(0.65, 0.9), generator.uniform(0.75, 1.0))
    if generator.random() < 0.35:
        return first, _WHITE
    return first, vivid(hue + generator.uniform(0.25, 0.75), 0.75, generator.uniform(0.7, 1.0))


def _tilted_axes(heading: float, tilt: float) -> Points:
    """(3, 3) rows x, y, z (z to the viewer) of a cube's axes: turned by `heading`, then tipped over by `tilt`."""
    cos, sin = np.cos(heading), np.sin(heading)
    turned = np.array([(cos, sin, 0), (-sin, cos, 0), (0, 0, 1)])
    cos, sin = np.cos(tilt), np.sin(tilt)
    return np.asarray(turned @ np.array([(1, 0, 0), (0, cos, sin), (0, -sin, cos)]))


def _on_face(points: Points, normal: Points, u: Points, v: Points) -> Points:
    """(n, 2) points of a cube's face, -1..1, seen from above: (n, 2)."""
    return np.asarray(normal + points[:, :1] * u + points[:, 1:] * v)[:, :2]


def _pips(value: int) -> list[tuple[float, float]]:
    """Where a die has its pips, on a face of -1..1."""
    near, corners = 0.5, [(-0.5, -0.5), (0.5, 0.5)]
    places = [(0.0, 0.0)] if value % 2 else []
    places += corners if value >= 2 else []
    places += [(-near, near), (near, -near)] if value >= 4 else []
    return places + ([(-near, 0.0), (near, 0.0)] if value == 6 else [])


_OBJECTS: dict[str, _Draw] = {"ball": _ball, "die": _die, "donut": _donut, "fish": _fish, "leaf": _leaf, "star": _star}
_CLUTTER: tuple[_Draw, ...] = (_pebble, _pencil, _note, _yarn)

CLASS_NAMES: tuple[str, ...] = tuple(_OBJECTS)
