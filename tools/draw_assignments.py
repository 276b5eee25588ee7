"""Draws who is responsible for what on one image, and prints the numbers: the loss's assignment, made visible.

    python tools/draw_assignments.py --weights best.safetensors --data dataset.yaml --image 000012 --output picture.png

    --weights           a detector: *.safetensors, or darknet's *.weights with --cfg (a file or a shipped name)
    --data, --split     a dataset as `gridyolo val` takes it; the split is val by default
    --image             id of an image of that split (its name without suffix), or its place in it, from 0
    --output            the picture, a PNG with a palette
    --objects-per-cell  objects of a cell that may be assigned; 1 by default, as in darknet and the paper
    --rule              best (default) or forced, see yolo/losses/assignment.py
    --ignore-iou        spare predictors that overlap an object by more than this; by default none, as in the paper
    --width             of the picture in pixels; it is laid out to be shown at 900

Left: the image as the network sees it, under its grid; every object's box, its owner cell, and the boxes that the
predictors of that cell answer, with their IoU. Right: the confidence that is the target of each predictor of each cell.
On the console: the same as a Markdown table, and what the original loss costs on this image.

Boxes, assignment and costs come from the package (`GridSpec`, `assign_targets`, `YoloLoss`); nothing of them is
computed here again. Left out: videos, batches, and everything after the loss.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image

from yolo.boxes import iou
from yolo.data.read import find_dataset, read_split
from yolo.engine.detector import open_detector
from yolo.geometry import place_boxes, place_image, plan_resize
from yolo.grid import CellTargets, GridParts, GridSpec
from yolo.images import read_image
from yolo.losses.assignment import Assignment, assign_targets, ignore_mask
from yolo.losses.yolo_loss import YoloLoss
from yolo.structures import Targets

# dark enough for text on white, and apart for colour-blind eyes; objects are numbered as well
COLOURS = ("#0072B2", "#C44E00", "#007A5A", "#AA4499", "#7A6000", "#332288", "#882255")
LOST, NOTHING, RIM = "#444444", "#F2F2F2", "#BBBBBB"
RESPONSIBLE_LINE, OTHER_LINE = (0, (4, 1.5)), (0, (1, 1.3))
MOST_NUMBERS = 21  # predictors side by side on the right up to which their numbers can be read


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One image with everything that the loss decides on it. Boxes are relative to the image; T objects."""

    title: str
    image: np.ndarray  # (H, W, 3) as the network sees it, 0..1
    class_names: tuple[str, ...]
    grid: GridSpec
    targets: Targets
    wanted: CellTargets
    boxes: torch.Tensor  # (T, B, 4) answered by the predictors of each object's owner cell
    ious: torch.Tensor  # (T, B)
    confidence: torch.Tensor  # (T, B)
    assignment: Assignment
    spared: torch.Tensor  # (S, S, B) bool
    costs: str


@torch.inference_mode()
def look(options: argparse.Namespace) -> Scene:
    """Run the detector on the image and let the package assign its objects."""
    network, metadata = open_detector(Path(options.weights), cfg=options.cfg, names=options.names)
    split = read_split(find_dataset(Path(options.data)), options.split, class_names=metadata.class_names)
    annotated = find_image(split.images, options.image)
    geometry = plan_resize(annotated.size_hw, metadata.input_hw, metadata.resize)
    placed = place_image(read_image(annotated.path), geometry, metadata.resize)
    truth = place_boxes(annotated.ground_truth, geometry)
    height, width = metadata.input_hw
    relative = truth.boxes / np.array((width, height, width, height), np.float32)
    in_pixels, targets = (Targets.from_ground_truths([one]) for one in (truth, truth.with_boxes(relative)))

    grid = metadata.network.grid(metadata.input_hw)
    raw = network.eval()(torch.from_numpy(placed).permute(2, 0, 1)[None]).float()
    answered = grid.activate_raw(raw)
    wanted = grid.encode(targets.boxes, (1, 1))
    own = GridParts(*(part[0, wanted.row, wanted.col] for part in answered))
    boxes = grid.decode_cells(own, row=wanted.row, col=wanted.col)
    settings = {"objects_per_cell": min(options.objects_per_cell, grid.boxes_per_cell), "rule": options.rule}
    loss = YoloLoss(**settings, ignore_iou=options.ignore_iou)
    terms = loss(grid, raw, in_pixels, metadata.input_hw)
    costs = ", ".join(f"{name} {value:.4f}" for name, value in terms.to_floats().items())
    return Scene(
        title=annotated.image_id,
        image=placed / 255 if placed.dtype == np.uint8 else placed,
        class_names=metadata.class_names,
        grid=grid,
        targets=targets,
        wanted=wanted,
        boxes=boxes,
        ious=iou(boxes, targets.boxes[:, None]),
        confidence=own.confidence,
        assignment=assign_targets(grid, boxes, targets, row=wanted.row, col=wanted.col, num_images=1, **settings),
        spared=ignore_mask(grid.decode_boxes(answered), targets, targets.max_per_image, ignore_iou=options.ignore_iou)[
            0
        ],
        costs=f"{costs}; total {terms.total:.4f}, darknet_cost {loss.darknet_cost(terms, 1):.4f}",
    )


def find_image(images: Sequence[Any], wanted: str) -> Any:
    """The image of that id or place."""
    for place, annotated in enumerate(images):
        if wanted in (annotated.image_id, str(place)):
            return annotated
    raise SystemExit(f"{wanted!r} is no image of the split; ids are such as {images[0].image_id!r}, places 0 and up")


def chosen_by(scene: Scene, t: int) -> str:
    """Why object t got its predictor, or why it has none."""
    if not scene.assignment.assigned[t]:
        return "ignored" if scene.targets.ignored[t] else "lost: cell taken"
    overlaps = scene.ious[t]
    if not (overlaps > 0).any():
        return "RMSE"
    return "IoU, first of equals" if int((overlaps == overlaps.max()).sum()) > 1 else "IoU"


def markdown(scene: Scene) -> str:
    """A row for each object."""
    predictors, root = range(scene.grid.boxes_per_cell), "√" if scene.grid.root_sizes else ""
    heads = ["object", "row", "col", "x", "y", f"{root}w", f"{root}h", *(f"IoU of {j}" for j in predictors)]
    heads += ["responsible", "chosen by", "its confidence", "target"]
    lines = [f"| {' | '.join(heads)} |", "| " + " | ".join("---" for _ in heads) + " |"]
    wanted, assignment = scene.wanted, scene.assignment
    for t, label in enumerate(scene.targets.labels.tolist()):
        numbers = [*wanted.offset_xy[t].tolist(), *wanted.size_wh[t].tolist(), *scene.ious[t].tolist()]
        chosen = int(assignment.predictor[t])
        end = [str(chosen), chosen_by(scene, t), f"{scene.confidence[t, chosen]:.3f}", f"{assignment.iou[t]:.3f}"]
        if not assignment.assigned[t]:
            end = ["-", chosen_by(scene, t), "-", "-"]
        cell = [str(int(wanted.row[t])), str(int(wanted.col[t]))]
        cells = [f"{t + 1} {scene.class_names[label]}", *cell, *(f"{number:.3f}" for number in numbers), *end]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


class Labels:
    """Texts on a picture, each put where it covers the least of those before. Units: shares of the side."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.taken: list[tuple[float, float, float, float]] = []

    def put(self, text: str, box: Sequence[float], *, colour: str, filled: bool) -> None:
        """A label at a corner or edge of a box (x1, y1, x2, y2)."""
        wide, high = 0.0131 * len(text) + 0.012, 0.031
        x1, y1, x2, y2 = box
        rows = (y1 - high, y2, y1, y2 - high, (y1 + y2 - high) / 2)
        cols = (x1, x2 - wide, (x1 + x2 - wide) / 2, x2, x1 - wide)
        places = [(min(max(x, 0), 1 - wide), min(max(y, 0), 1 - high)) for y in rows for x in cols]
        x, y = min(places, key=lambda place: self._covered(*place, place[0] + wide, place[1] + high))
        self.taken.append((x, y, x + wide, y + high))
        face, ink = (colour, "white") if filled else ("white", colour)
        self.axes.add_patch(Rectangle((x, y), wide, high, facecolor=face, edgecolor=colour, lw=0.8, zorder=8))
        centre, weight = (x + wide / 2, y + high / 2), "bold" if filled else "normal"
        self.axes.text(*centre, text, color=ink, size=7.6, weight=weight, ha="center", va="center_baseline", zorder=9)

    def _covered(self, x1: float, y1: float, x2: float, y2: float) -> float:
        return sum(
            max(0.0, min(x2, right) - max(x1, left)) * max(0.0, min(y2, bottom) - max(y1, top))
            for left, top, right, bottom in self.taken
        )


def outline(axes: Axes, box: Sequence[float], *, colour: str, line: Any, width: float) -> None:
    x1, y1, x2, y2 = box
    frame = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linestyle=line, lw=width, zorder=6)
    frame.set_path_effects([withStroke(linewidth=width + 1.6, foreground="white")])
    axes.add_patch(frame)


def draw_objects(axes: Axes, scene: Scene) -> None:
    """The left panel: first everything of the objects, then what was answered for those that are assigned."""
    side, labels = scene.grid.grid_size, Labels(axes)
    axes.imshow(0.4 * scene.image + 0.6, extent=(0, 1, 1, 0), interpolation="bilinear")
    draw_lines(axes, side, colour="#777777", width=0.6)
    assigned = scene.assignment.assigned.tolist()
    colours = [COLOURS[t % len(COLOURS)] if assigned[t] else LOST for t in range(len(assigned))]
    for t, colour in enumerate(colours):
        x1, y1, x2, y2 = box = scene.targets.boxes[t].tolist()
        corner = (int(scene.wanted.col[t]) / side, int(scene.wanted.row[t]) / side)
        if assigned[t]:
            axes.add_patch(Rectangle(corner, 1 / side, 1 / side, facecolor=colour, alpha=0.35, zorder=3))
        outline(axes, box, colour=colour, line="solid", width=2.4)
        marker = "o" if assigned[t] else "X"
        axes.plot((x1 + x2) / 2, (y1 + y2) / 2, marker, color=colour, markeredgecolor="white", ms=8, zorder=7)
        why = "" if assigned[t] else f" ({chosen_by(scene, t).partition(':')[0]})"
        name = f"{t + 1} {scene.class_names[int(scene.targets.labels[t])]}{why}"
        labels.put(name, box, colour=colour, filled=True)
    for t in (t for t, is_assigned in enumerate(assigned) if is_assigned):
        for j, box in enumerate(scene.boxes[t].clamp(0, 1).tolist()):
            is_mine = j == int(scene.assignment.predictor[t])
            line, width = (RESPONSIBLE_LINE, 2.0) if is_mine else (OTHER_LINE, 1.4)
            outline(axes, box, colour=colours[t], line=line, width=width)
            text = f"{t + 1}.{j} IoU {scene.ious[t, j]:.2f}" + " ✓" * is_mine
            labels.put(text, box, colour=colours[t], filled=False)
    finish(axes, f"{scene.title}: objects, their cells, and what the predictors of those cells answer")


def draw_confidences(axes: Axes, scene: Scene) -> None:
    """The right panel: each cell divided into its predictors."""
    side, boxes, assignment = scene.grid.grid_size, scene.grid.boxes_per_cell, scene.assignment
    wide, high = 1 / side / boxes, 1 / side
    places = zip(assignment.row.tolist(), assignment.col.tolist(), assignment.predictor.tolist(), strict=True)
    owners = {place: t for t, place in enumerate(places) if assignment.assigned[t]}
    for row, col, j in np.ndindex(side, side, boxes):
        t = owners.get((row, col, j))
        is_spared = t is None and bool(scene.spared[row, col, j])
        corner = ((col * boxes + j) * wide, row * high)
        look = {"facecolor": "white", "hatch": "////"} if is_spared else {"facecolor": NOTHING}
        look = look if t is None else {"facecolor": COLOURS[t % len(COLOURS)]}
        axes.add_patch(Rectangle(corner, wide, high, edgecolor=RIM, lw=0.4, **look))
        if side * boxes <= MOST_NUMBERS and not is_spared:
            text = "0" if t is None else f"{float(assignment.iou[t]):.2f}".removeprefix("0")
            font = {"color": "#8A8A8A", "size": 6.5} if t is None else {"color": "white", "size": 8, "weight": "bold"}
            axes.text(corner[0] + wide / 2, corner[1] + high / 2, text, ha="center", va="center", **font)
    draw_lines(axes, side, colour="#555555", width=0.9)
    finish(axes, f"confidence targets of the {side}·{side}·{boxes} predictors")


def draw_lines(axes: Axes, side: int, *, colour: str, width: float) -> None:
    for line in range(side + 1):
        for draw_line in (axes.axhline, axes.axvline):
            draw_line(line / side, color=colour, linewidth=width, zorder=2)


def finish(axes: Axes, title: str) -> None:
    axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
    axes.set_aspect("equal", anchor="NW")
    axes.set_title(title, fontsize=8.5, loc="left")


def draw_legend(axes: Axes, scene: Scene) -> None:
    """What the lines and fields mean."""
    ink = COLOURS[0]
    entries = [
        (Line2D([], [], color=ink, lw=2.4, marker="o", ms=7), "object and its centre"),
        (Patch(facecolor=ink, alpha=0.35), "cell of the centre: it owns the object"),
        (Line2D([], [], color=ink, lw=2, linestyle=RESPONSIBLE_LINE), "t.j ✓  predictor j, responsible for object t"),
        (Line2D([], [], color=ink, lw=1.4, linestyle=OTHER_LINE), "t.j  other predictor of that cell"),
        (Patch(facecolor=ink), "responsible: target is its IoU"),
        (Patch(facecolor=NOTHING, edgecolor=RIM), "target 0, “nothing here”"),
    ]
    if not scene.assignment.assigned.all():
        entries.insert(1, (Line2D([], [], color=LOST, lw=2.4, marker="X", ms=7), "object without a predictor"))
    if scene.spared.any():
        entries.append((Patch(facecolor="white", edgecolor=RIM, hatch="////"), "ignored: no target"))
    axes.axis("off")
    axes.legend(*zip(*entries, strict=True), loc="upper left", fontsize=8, frameon=False, borderaxespad=0)


def draw(scene: Scene, path: Path, width: int) -> None:
    """Write the picture."""
    inches = 9.0
    figure = Figure(figsize=(inches, 5.75), dpi=width / inches)
    draw_objects(figure.add_axes((0.008, 0.015, 0.595, 0.935)), scene)
    draw_confidences(figure.add_axes((0.618, 0.365, 0.374, 0.585)), scene)
    draw_legend(figure.add_axes((0.618, 0.0, 0.374, 0.345)), scene)
    pixels = io.BytesIO()
    FigureCanvasAgg(figure).print_png(pixels)
    image = Image.open(pixels).convert("RGB")
    image.quantize(128, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("weights", "data", "image", "output"):
        parser.add_argument(f"--{name}", required=True)
    for name, default in (("cfg", ""), ("names", ""), ("split", "val")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--objects-per-cell", type=int, default=1)
    parser.add_argument("--rule", choices=("best", "forced"), default="best")
    parser.add_argument("--ignore-iou", type=float)
    parser.add_argument("--width", type=int, default=1260)
    options = parser.parse_args()
    scene = look(options)
    draw(scene, Path(options.output), options.width)
    print(markdown(scene))
    print(scene.costs)


if __name__ == "__main__":
    main()
