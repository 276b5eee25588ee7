"""Evaluators of all ranks of a `torch.distributed` group as one: each rank evaluates its share of the images.

Left out: which rank evaluates what. Images must not be given to two ranks; samplers that repeat some to even out
the shares have to be told not to.
"""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.voc import VocEvaluator

AnyEvaluator = TypeVar("AnyEvaluator", Evaluator, VocEvaluator)


def gather(evaluator: AnyEvaluator) -> AnyEvaluator:
    """An evaluator with the images of all ranks, the same on each; to be called by all of them.

    Without a process group it is the one given. Otherwise the one given stays as it is.

    Raises:
        ValueError: an image is on two ranks, or the evaluators differ in classes or options.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return evaluator
    parts: list[AnyEvaluator | None] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, evaluator)
    gathered = [part for part in parts if part is not None]
    whole = gathered[0]
    for other in gathered[1:]:
        whole.merge(other)
    return whole
