"""Merging what was found on overlapping tiles of an image: each object once, and whole.

A box that ends where its tile ends, inside the image, is cut: the object may go on. Boxes of one class from two tiles
are compared, and three things can follow:

part     one is cut where the other goes on, and lies in it: it is dropped
halves   each is cut where the other goes on, and they agree where both tiles look: together they are the object
twice    both tiles show the whole object: the better score is kept

A box that only its own tile found is kept, also one that is cut. The pass over the whole image is one more tile.
Shape letters: K detections of all tiles, T tiles, P pairs of detections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from yolo.boxes import area, intersection_over_area, iou
from yolo.postprocess.pipeline import PostprocessSettings, suppress
from yolo.postprocess.tiles import Tile
from yolo.structures import Detections

_SAME = 0.5  # least IoU where both tiles look, or least share of the smaller box in the larger
_REACH = 0.02  # of a box's own side: how far it must reach out of a tile to show more than the tile can
_TOUCH = 0.03  # of a tile's side: networks do not put the edge of a cut object exactly on the edge of the tile
_MUCH_LARGER = 2.0  # ratio of areas at which a box that is not cut is still a part: large objects look odd from near
_CREDIBLE = 0.25  # of the other's score: what scores less neither replaces a box nor completes it
_SIMILAR = 0.25  # least ratio of the areas of an object found twice: what is smaller is another object
_PAIRS_AT_ONCE = 1 << 21  # bounds the memory


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Detections with the tiles that they are from."""

    boxes: Tensor  # (K, 4) xyxy in pixels of the image
    scores: Tensor  # (K,)
    labels: Tensor  # (K,)
    tiles: Tensor  # (K, 4) xyxy, what was seen
    tile_index: Tensor  # (K,)

    def __getitem__(self, index: Tensor) -> _Found:
        return _Found(
            self.boxes[index], self.scores[index], self.labels[index], self.tiles[index], self.tile_index[index]
        )

    def cut(self, size_hw: tuple[int, int]) -> Tensor:
        """(K, 4) bool: which end at the left, top, right, bottom of their tile, inside an image of this size."""
        inner = _outwards(self.tiles, self.tiles.new_tensor((0, 0, size_hw[1], size_hw[0]))) < 0
        return (_outwards(self.boxes, self.tiles) >= -_TOUCH * _sides(self.tiles)) & inner

    def reach_out_of(self, tiles: Tensor) -> Tensor:
        """(K, 4) bool: which reach over the left, top, right, bottom of another tile, (K, 4)."""
        return _outwards(self.boxes, tiles) > _REACH * _sides(self.boxes)


def merge_tiles(
    found: Sequence[Detections], tiles: Sequence[Tile], size_hw: tuple[int, int], settings: PostprocessSettings
) -> Detections:
    """Detections of the whole image, by falling score, at most as many as the settings allow.

    Args:
        found: detections of each tile in pixels of the tile, after suppression within it.
        tiles: where the tiles are; one may be the whole image.
        size_hw: of the image.
        settings: those of `found`.
    """
    together = _collect(found, tiles)
    agnostic = settings.class_agnostic
    first, second = _overlapping_pairs(together, class_agnostic=agnostic)
    parts = _parts(together, first, second, size_hw)
    whole = torch.ones(len(together.boxes), dtype=torch.bool)
    whole[parts] = False  # a part of a part goes too: the largest is a part of nothing, and stays
    halves = _are_halves(together[first], together[second], size_hw) & whole[first] & whole[second]
    together = _join(together, torch.stack((first[halves], second[halves]), dim=1), whole, size_hw)
    # what is whole now may have more parts on other tiles
    first, second = _overlapping_pairs(together, class_agnostic=agnostic)
    left = torch.ones(len(together.boxes), dtype=torch.bool)
    left[_parts(together, first, second, size_hw)] = False
    _drop_worse(_twice(together, first, second), together.scores, left)
    merged = Detections(together.boxes[left], together.scores[left], together.labels[left], size_hw)
    return suppress(
        merged,
        iou_threshold=settings.iou_threshold,
        max_detections=settings.max_detections,
        class_agnostic=settings.class_agnostic,
    )


def _collect(found: Sequence[Detections], tiles: Sequence[Tile]) -> _Found:
    index = torch.repeat_interleave(torch.tensor([len(one) for one in found]))
    regions = torch.tensor(tiles, dtype=torch.float32)[index]  # (K, 4)
    boxes = torch.cat([one.boxes for one in found]) + regions[:, :2].repeat(1, 2)
    scores, labels = torch.cat([one.scores for one in found]), torch.cat([one.labels for one in found])
    return _Found(boxes, scores, labels, regions, index)


def _overlapping_pairs(found: _Found, *, class_agnostic: bool) -> tuple[Tensor, Tensor]:
    """Indices (P,) and (P,) of boxes, of one class or of any, from two tiles that have pixels in common."""
    pairs = [torch.zeros(2, 0, dtype=torch.int64), *_candidate_pairs(found, class_agnostic=class_agnostic)]
    first, second = torch.cat(pairs, dim=1)
    return first, second


def _candidate_pairs(found: _Found, *, class_agnostic: bool) -> Iterator[Tensor]:
    """The overlapping pairs, (2, …) at a time: from left to right each box with those that begin before its end."""
    order = found.boxes[:, 0].argsort(stable=True)
    ends = torch.searchsorted(found.boxes[order, 0].contiguous(), found.boxes[order, 2].contiguous())
    counts = (ends - torch.arange(1, len(order) + 1)).clamp_min(0)
    done = counts.cumsum(0) - counts  # pairs before each row
    start = 0
    while start < len(order):
        limit = done[start] + _PAIRS_AT_ONCE
        stop = max(start + 1, int(torch.searchsorted(done, limit)))
        rows = torch.arange(start, stop).repeat_interleave(counts[start:stop])
        columns = rows + 1 + torch.arange(len(rows)) - (done[rows] - done[start])
        first, second = order[rows], order[columns]
        near = found.tile_index[first] != found.tile_index[second]
        if not class_agnostic:
            near &= found.labels[first] == found.labels[second]
        first, second = first[near], second[near]
        a, b = found.boxes[first], found.boxes[second]
        meet = (torch.minimum(a[:, 2:], b[:, 2:]) > torch.maximum(a[:, :2], b[:, :2])).all(dim=1)
        yield torch.stack((first[meet], second[meet]))
        start = stop


def _parts(found: _Found, first: Tensor, second: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Indices of what is a part of another box."""
    areas = area(found.boxes)
    larger = areas[first] > areas[second]
    whole, part = torch.where(larger, first, second), torch.where(larger, second, first)
    a, b = found[whole], found[part]
    cut = (b.cut(size_hw) & a.reach_out_of(b.tiles)).any(dim=1) & (intersection_over_area(b.boxes, a.boxes) > _SAME)
    goes_on = a.reach_out_of(b.tiles).any(dim=1) & ~b.reach_out_of(a.tiles).any(dim=1)
    seen_from_near = goes_on & (_agreement(a, b) > _SAME) & (area(a.boxes) > _MUCH_LARGER * area(b.boxes))
    is_part = (cut | seen_from_near) & (areas[whole] > areas[part]) & (a.scores >= _CREDIBLE * b.scores)
    return part[is_part & ~_are_halves(a, b, size_hw)]


def _are_halves(a: _Found, b: _Found, size_hw: tuple[int, int]) -> Tensor:
    """(P,) bool: pairs of parts of one object."""
    a_cut = (a.cut(size_hw) & b.reach_out_of(a.tiles)).any(dim=1)
    b_cut = (b.cut(size_hw) & a.reach_out_of(b.tiles)).any(dim=1)
    credible = torch.minimum(a.scores, b.scores) >= _CREDIBLE * torch.maximum(a.scores, b.scores)
    return a_cut & b_cut & (_agreement(a, b) > _SAME) & credible


def _twice(found: _Found, first: Tensor, second: Tensor) -> Tensor:
    """(…, 2) pairs of boxes of one object that both tiles show whole: each is the other's best in that tile."""
    a, b = found[first], found[second]
    smaller, larger = area(a.boxes).minimum(area(b.boxes)), area(a.boxes).maximum(area(b.boxes))
    share = intersection_over_area(a.boxes, b.boxes) * area(a.boxes) / smaller
    inside = ~(a.reach_out_of(b.tiles) | b.reach_out_of(a.tiles)).any(dim=1)
    whole = inside & (share > _SAME) & (smaller >= _SIMILAR * larger)
    first, second, agreement = first[whole], second[whole], _agreement(a[whole], b[whole])
    best = _is_best(first, found.tile_index[second], agreement) & _is_best(second, found.tile_index[first], agreement)
    return torch.stack((first[best], second[best]), dim=1)


def _is_best(box: Tensor, tile: Tensor, values: Tensor) -> Tensor:
    """(P,) bool: whether a pair has the largest value of all pairs of this box with boxes of that tile."""
    _, group = torch.unique(torch.stack((box, tile)), dim=1, return_inverse=True)
    largest = values.new_zeros(len(values)).scatter_reduce(0, group, values, "amax")
    return values == largest[group]


def _agreement(a: _Found, b: _Found) -> Tensor:
    """(P,) IoU of the parts of two boxes that lie where both tiles look."""
    low, high = a.tiles[:, :2].maximum(b.tiles[:, :2]), a.tiles[:, 2:].minimum(b.tiles[:, 2:])

    def seen(boxes: Tensor) -> Tensor:
        return torch.cat((boxes[:, :2].maximum(low), boxes[:, 2:].minimum(high)), dim=1)

    return iou(seen(a.boxes), seen(b.boxes))


def _join(found: _Found, halves: Tensor, whole: Tensor, size_hw: tuple[int, int]) -> _Found:
    """What is whole, with halves (…, 2) put together: the box around them with the best score of them."""
    boxes, tiles, tile_index, whole = found.boxes.clone(), found.tiles.clone(), found.tile_index.clone(), whole.clone()
    for members in _groups(halves):
        best = members[found.scores[members].argmax()]
        boxes[best] = torch.cat((found.boxes[members, :2].amin(dim=0), found.boxes[members, 2:].amax(dim=0)))
        # nothing cuts it any more
        tiles[best], tile_index[best] = tiles.new_tensor((0, 0, size_hw[1], size_hw[0])), -1
        whole[members] = False
        whole[best] = True
    return _Found(boxes, found.scores, found.labels, tiles, tile_index)[whole]


def _groups(pairs: Tensor) -> list[Tensor]:
    """The connected indices of pairs, (…, 2)."""
    group_of: dict[int, set[int]] = {}
    for first, second in pairs.tolist():
        joined = group_of.get(first, {first}) | group_of.get(second, {second})
        group_of.update(dict.fromkeys(joined, joined))
    distinct = {id(group): group for group in group_of.values()}
    return [torch.tensor(sorted(group)) for group in distinct.values()]


def _drop_worse(pairs: Tensor, scores: Tensor, left: Tensor) -> None:
    """Strike the lower score of each pair (…, 2) out of the mask `left`, the best pairs first."""
    better_first = torch.where(scores[pairs[:, :1]] >= scores[pairs[:, 1:]], pairs, pairs.flip(1))
    order = scores[better_first[:, 0]].argsort(descending=True, stable=True)
    for better, worse in better_first[order].tolist():
        if left[better]:
            left[worse] = False


def _sides(boxes: Tensor) -> Tensor:
    """Width, height, width, height, (…, 4) -> (…, 4)."""
    return (boxes[..., 2:] - boxes[..., :2]).repeat(1, 2)


def _outwards(boxes: Tensor, regions: Tensor) -> Tensor:
    """How far left, top, right, bottom of boxes lie outside of regions, negative inside, (K, 4) -> (K, 4)."""
    differences = boxes - regions
    return torch.cat((-differences[:, :2], differences[:, 2:]), dim=1)
